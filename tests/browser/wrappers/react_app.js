/** A small React site: two addresses by pushState, a hook on each, under StrictMode, which runs every effect twice. */
import { FootfallProvider, useFootfall, usePageView } from "footfall/react";
import { createElement, StrictMode, useState } from "react";

const Page = ({ path }) => {
  const footfall = useFootfall();
  usePageView(path, { page_type: path === "/" ? "home" : "product" });
  return createElement(
    "button",
    { id: "buy", type: "button", onClick: () => footfall.track("bought", { path }) },
    "Buy",
  );
};

const Router = () => {
  const [path, setPath] = useState("/");
  const go = () => {
    history.pushState({}, "", "/product");
    setPath("/product");
  };
  return createElement(
    "main",
    null,
    createElement("button", { id: "go", type: "button", onClick: go }, "Go"),
    createElement(Page, { path }),
  );
};

export const app = (settings) =>
  createElement(StrictMode, null, createElement(FootfallProvider, settings, createElement(Router)));
