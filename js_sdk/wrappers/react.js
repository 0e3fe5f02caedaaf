"use client";
/**
 * Footfall for React: a provider that starts the tag once, in the browser, and hooks that give it. Page views, clicks and
 * the rest are seen by the tag itself, routers included; nothing here renders anything or touches `window` on a server.
 */
import { footfall, init } from "footfall";
import { createContext, createElement, useContext, useEffect, useRef } from "react";

const Tag = createContext(footfall);

/** @param {any} props the tag's settings, and the children; `tag` gives another tag than the module's (tests do) */
export const FootfallProvider = ({ children, tag = footfall, ...settings }) => {
  // Settings are read once: the first write key counts, as an effect may run twice (StrictMode) and a parent render anew.
  const first = useRef(settings);
  useEffect(() => {
    if (tag === footfall) init(first.current);
  }, [tag]);
  return createElement(Tag.Provider, { value: tag }, children);
};

/** The tag; what is called before it runs waits and is done in order. */
export const useFootfall = () => useContext(Tag);

/**
 * Tells the view of this page itself, with properties that only the page knows; the tag then does not tell it again.
 *
 * @param {string} name @param {Record<string, unknown>} [properties]
 */
export const usePageView = (name, properties) => {
  const tag = useFootfall();
  const told = useRef("");
  useEffect(() => {
    // One component may serve many addresses, and effects may run twice for one.
    const view = `${name} ${location.pathname}${location.search}`;
    if (told.current === view) return;
    told.current = view;
    tag.page(name, properties);
  });
};
