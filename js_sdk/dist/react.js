"use client";

// wrappers/react.js
import { footfall, init } from "footfall";
import { createContext, createElement, useContext, useEffect, useRef } from "react";
var Tag = createContext(footfall), FootfallProvider = ({ children, tag = footfall, ...settings }) => {
  let first = useRef(settings);
  return useEffect(() => {
    tag === footfall && init(first.current);
  }, [tag]), createElement(Tag.Provider, { value: tag }, children);
}, useFootfall = () => useContext(Tag), usePageView = (name, properties) => {
  let tag = useFootfall(), told = useRef("");
  useEffect(() => {
    let view = `${name} ${location.pathname}${location.search}`;
    told.current !== view && (told.current = view, tag.page(name, properties));
  });
};
export {
  FootfallProvider,
  useFootfall,
  usePageView
};
