import assert from "node:assert/strict";
import { test } from "node:test";
import { cut } from "../src/features/element.js";
import { MARK, markOf } from "../src/features/marks.js";
import { pageFacts } from "../src/features/page_facts.js";

/** As much of an element as a mark needs. */
const element = (attributes) => ({
  getAttribute: (name) => attributes[name] ?? null,
  attributes: Object.entries(attributes).map(([name, value]) => ({ name, value })),
});

test("a search is found under each of its usual names, decoded, and never under another", () => {
  for (const name of ["q", "query", "s", "search", "keyword"]) {
    assert.equal(pageFacts(`?sort=price&${name}=red+sh%C3%B6es`).search_query, "red shöes");
  }
  for (const search of ["", "?", "?q=", "?q", "?squery=x", "?faq=x", "?qq=x"]) {
    assert.equal(pageFacts(search).search_query, undefined, search);
  }
});

test("an address that no decoder takes is no error", () => {
  assert.equal(pageFacts("?q=%E0%A4%A&%").search_query, "\uFFFD%A");
});

test("a status is told of errors only", () => {
  const told = [undefined, 0, 200, 304, 399, 400, 404, 503].map((status) => pageFacts("", status).status);
  assert.deepEqual(told, [undefined, undefined, undefined, undefined, undefined, 400, 404, 503]);
});

test("text is put on one line and cut to the plan's 128 characters", () => {
  assert.equal(cut("  Add\n\t to   cart "), "Add to cart");
  assert.equal(cut("x".repeat(500)).length, 128);
  assert.equal(cut(null), "");
});

test("a mark gives its event and properties: JSON as that, everything else and long numbers as text", () => {
  const marked = element({
    [MARK]: "plan_chosen",
    id: "x",
    "data-footfall-prop-plan-name": "pro",
    "data-footfall-prop-seats": "5",
    "data-footfall-prop-price": "9.90",
    "data-footfall-prop-trial": "true",
    "data-footfall-prop-tags": '["a","b"]',
    "data-footfall-prop-order": "12345678901234567890",
    "data-footfall-prop-sku": "007",
  });
  assert.deepEqual(markOf(marked), [
    "plan_chosen",
    {
      plan_name: "pro",
      seats: 5,
      price: 9.9,
      trial: true,
      tags: ["a", "b"],
      order: "12345678901234567890",
      sku: "007",
    },
  ]);
});

test("an element without a mark, or with an empty one, names no event", () => {
  assert.equal(markOf(element({})), undefined);
  assert.equal(markOf(element({ [MARK]: "" })), undefined);
});
