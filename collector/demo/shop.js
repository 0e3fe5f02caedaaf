/**
 * The demo shop: what it sells, its pages, and what they tell Footfall. Written as a customer would write it: page views
 * and clicks come from the tag alone, the shop only says what it alone knows. Event names and properties follow the
 * tracking plan in schemas/events/. Everything stays in this browser; prices are in cents, so that sums are exact.
 */
(() => {
  const CURRENCY = "EUR";
  // Name, drawing (an SVG path on 24 by 24) and colour.
  const KINDS = {
    bags: ["Bags", "M6 9h12l1 11H5zM9 9V7a3 3 0 0 1 6 0v2", "#d8c3a5"],
    kitchen: ["Kitchen", "M5 8h11v7a4 4 0 0 1-4 4H9a4 4 0 0 1-4-4zM16 10h2a2 2 0 0 1 0 5h-2", "#e8b4a0"],
    living: ["Living", "M9 4h6l3 8H6zM12 12v7M8 19h8", "#c9cfa8"],
    outdoor: ["Outdoor", "M12 5 3 19h18zM12 11l-4 8M12 11l4 8", "#a8cfc0"],
    desk: ["Desk", "M5 19l1-5L16 4l4 4L10 18zM14 6l4 4", "#b3bfd9"],
  };
  // Most popular first: [sku, name, price in cents, kind].
  const PRODUCTS = [
    ["bag-01", "Roll-top backpack", 8900, "bags"],
    ["mug-01", "Stoneware mug", 1450, "kitchen"],
    ["lamp-01", "Reading lamp", 6400, "living"],
    ["bottle-01", "Steel bottle 0.75 l", 2490, "outdoor"],
    ["note-01", "Dotted notebook", 1290, "desk"],
    ["bag-02", "Canvas tote", 1990, "bags"],
    ["press-01", "French press", 3900, "kitchen"],
    ["throw-01", "Wool throw", 7900, "living"],
    ["pen-01", "Brass pen", 3400, "desk"],
    ["tent-01", "Two-person tent", 21900, "outdoor"],
    ["knife-01", "Chef's knife", 9900, "kitchen"],
    ["bag-03", "Weekender", 14900, "bags"],
    ["mat-01", "Desk mat", 4500, "desk"],
    ["stove-01", "Camping stove", 5600, "outdoor"],
    ["vase-01", "Clay vase", 3200, "living"],
    ["board-01", "Oak board", 4200, "kitchen"],
    ["bag-04", "Hip bag", 3900, "bags"],
    ["torch-01", "Head torch", 3750, "outdoor"],
    ["tray-01", "Letter tray", 2850, "desk"],
    ["candle-01", "Beeswax candle", 1150, "living"],
  ].map(([sku, name, cents, category]) => ({ sku, name, cents, category }));
  const POPULAR = 8;

  const track = (event, properties) => window.footfall?.("track", event, properties);
  const $ = (id) => document.getElementById(id);
  const money = (cents) => new Intl.NumberFormat("en", { style: "currency", currency: CURRENCY }).format(cents / 100);
  const productOf = (sku) => PRODUCTS.find((product) => product.sku === sku);
  const productUrl = ({ sku }) => `product.html?id=${sku}`;

  /** @returns an element with these attributes and children; text is always text, never markup */
  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  // Cart and last order: {sku: quantity} and {order_id, lines, told}, in localStorage.
  const read = (name, otherwise) => {
    try {
      return JSON.parse(localStorage.getItem(name)) ?? otherwise;
    } catch {
      return otherwise;
    }
  };
  const write = (name, value) => localStorage.setItem(name, JSON.stringify(value));
  const linesOf = (cart) =>
    Object.entries(cart).flatMap(([sku, quantity]) => (productOf(sku) ? [{ ...productOf(sku), quantity }] : []));
  const totalOf = (lines) => lines.reduce((sum, { cents, quantity }) => sum + cents * quantity, 0);

  /** @returns lines of goods as the plan's commerce events have them */
  const commerce = (lines) => ({
    currency: CURRENCY,
    value: totalOf(lines) / 100,
    items: lines.map(({ sku, name, cents, quantity, category }) => ({
      sku,
      name,
      price: cents / 100,
      quantity,
      category,
    })),
  });

  const showCount = () => {
    const count = linesOf(read("shop_cart", {})).reduce((sum, { quantity }) => sum + quantity, 0);
    $("cart-count").textContent = count || "";
  };

  const paint = (element, { category }) => {
    const [, drawing, tint] = KINDS[category];
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const path = document.createElementNS(svg.namespaceURI, "path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", drawing);
    svg.append(path);
    element.style.setProperty("--tint", tint);
    element.replaceChildren(svg);
    return element;
  };

  const showProducts = (products) =>
    $("products").replaceChildren(
      ...products.map((product) =>
        make(
          "li",
          {},
          make(
            "a",
            { href: productUrl(product), "data-sku": product.sku },
            paint(make("span", { class: "picture" }), product),
            make("span", { class: "text" }, product.name),
            make("span", { class: "text price" }, money(product.cents)),
          ),
        ),
      ),
    );

  const showKinds = (chosen, onChoose) =>
    $("kinds").replaceChildren(
      ...[["", ["All"]], ...Object.entries(KINDS)].map(([kind, [name]]) => {
        const link = make(
          "a",
          { href: `category.html${kind && `?category=${kind}`}`, id: `kind-${kind || "all"}` },
          name,
        );
        if (kind === chosen) link.setAttribute("aria-current", "true");
        if (onChoose) link.addEventListener("click", (event) => onChoose(event, kind));
        return make("li", {}, link);
      }),
    );

  const pages = {
    home() {
      showKinds(undefined);
      showProducts(PRODUCTS.slice(0, POPULAR));
    },

    /** Kind, order and search stand in the address; choosing changes it without a load, as single-page sites do. */
    category() {
      let searched = "";
      const show = () => {
        const address = new URLSearchParams(location.search);
        const [kind, sort, query] = ["category", "sort", "q"].map((name) => address.get(name)?.trim() ?? "");
        const found = PRODUCTS.filter(
          ({ name, category }) =>
            (!kind || category === kind) && `${name} ${category}`.toLowerCase().includes(query.toLowerCase()),
        );
        if (sort === "price_asc") found.sort((a, b) => a.cents - b.cents);
        if (sort === "price_desc") found.sort((a, b) => b.cents - a.cents);
        const heading = query ? `Results for “${query}”` : (KINDS[kind]?.[0] ?? "All products");
        document.title = `${heading} · Demo shop`;
        $("heading").textContent = heading;
        $("found").textContent = found.length === 1 ? "1 product" : `${found.length} products`;
        $("sort").value = sort;
        $("q").value = query;
        showProducts(found);
        showKinds(kind, choose);
        if (query && query !== searched) {
          track("search", { query, results: found.length, ...(kind && { filters: [`category:${kind}`] }) });
        }
        searched = query;
      };
      const go = (name, value) => {
        const address = new URL(location.href);
        if (value) address.searchParams.set(name, value);
        else address.searchParams.delete(name);
        history.pushState({}, "", address);
        show();
      };
      const choose = (event, kind) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        go("category", kind);
        $(`kind-${kind || "all"}`).focus();
      };
      $("sort").addEventListener("change", ({ target }) => go("sort", target.value));
      addEventListener("popstate", show);
      show();
    },

    product() {
      const product = productOf(new URLSearchParams(location.search).get("id")) ?? PRODUCTS[0];
      const { sku, name, cents, category } = product;
      document.title = `${name} · Demo shop`;
      $("name").textContent = name;
      $("price").textContent = money(cents);
      $("about").textContent = "Made to be used daily and repaired at home.";
      paint($("picture"), product);
      track("product_viewed", { sku, name, category, price: cents / 100, currency: CURRENCY });
      $("add").addEventListener("submit", (event) => {
        event.preventDefault();
        const quantity = Number($("quantity").value);
        const cart = read("shop_cart", {});
        write("shop_cart", { ...cart, [sku]: Math.min((cart[sku] ?? 0) + quantity, 99) });
        track("add_to_cart", commerce([{ ...product, quantity }]));
        $("added").replaceChildren(
          `${name} is in the cart. `,
          make("a", { href: "cart.html", id: "see-cart" }, "See cart"),
        );
        showCount();
      });
    },

    cart() {
      const show = () => {
        const cart = read("shop_cart", {});
        const lines = linesOf(cart);
        $("lines").replaceChildren(
          ...lines.map((line) => {
            const remove = make("button", { class: "quiet", "aria-label": `Remove ${line.name}` }, "Remove");
            remove.addEventListener("click", () => {
              const { [line.sku]: _, ...rest } = cart;
              write("shop_cart", rest);
              show();
            });
            const text = `${line.quantity} × ${money(line.cents)}`;
            return make("li", {}, make("a", { href: productUrl(line) }, line.name), make("span", {}, text), remove);
          }),
        );
        $("total").textContent = lines.length ? `Total ${money(totalOf(lines))}` : "The cart is empty.";
        $("to-checkout").hidden = !lines.length;
        showCount();
      };
      show();
    },

    checkout() {
      const lines = linesOf(read("shop_cart", {}));
      $("order").hidden = !lines.length;
      $("empty").hidden = lines.length > 0;
      if (!lines.length) return;
      $("total").textContent = `Total ${money(totalOf(lines))}`;
      track("checkout_started", commerce(lines));
      $("order").addEventListener("submit", (event) => {
        event.preventDefault();
        const order_id = `D-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`.toUpperCase();
        write("shop_order", { order_id, lines, told: false });
        write("shop_cart", {});
        location.href = "confirmation.html";
      });
    },

    /** A purchase is told once per order, however often this page is loaded. */
    confirmation() {
      const order = read("shop_order", null);
      if (!order) return;
      const { order_id, lines, told } = order;
      if (!told) {
        track("purchase", { order_id, ...commerce(lines) });
        write("shop_order", { ...order, told: true });
      }
      $("ordered").textContent = `Order ${order_id} over ${money(totalOf(lines))} is placed.`;
      $("nps").hidden = false;
      for (let score = 0; score <= 10; score++) {
        const choice = make("input", { type: "radio", name: "score", value: score, required: "" });
        $("scores").append(make("label", {}, choice, `${score}`));
      }
      $("nps").addEventListener("submit", (event) => {
        event.preventDefault();
        const form = new FormData(event.target);
        const comment = $("comment").value.trim();
        track("nps_response", { score: Number(form.get("score")), survey_id: "demo", ...(comment && { comment }) });
        event.target.querySelector("button").disabled = true;
        $("nps-done").textContent = "Thank you for the answer.";
      });
    },
  };

  // The address itself stays here: that somebody signed up is all that is told.
  $("newsletter").addEventListener("submit", (event) => {
    event.preventDefault();
    track("sign_up", { method: "email" });
    event.target.reset();
    $("newsletter-done").textContent = "You are on the list of a shop that does not exist.";
  });

  showCount();
  pages[document.body.dataset.page]();
})();
