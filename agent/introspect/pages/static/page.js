"use strict";
// Pages work without this. It draws plots anew while the page is looked at, and spares the
// keyboard stops at tables that fit.
(function () {
  const SECONDS = 5;

  function text(node, value) {
    if (node && node.textContent !== value) node.textContent = value;
  }

  function each(root, selector, values, put) {
    root.querySelectorAll(selector).forEach((node, at) => {
      if (at < values.length) put(node, values[at]);
    });
  }

  function draw(figure, plot) {
    each(figure, "path.line", plot.paths, (node, one) => node.setAttribute("d", one.path));
    each(figure, ".now", plot.paths, (node, one) => text(node, one.now));
    each(figure, "text.tick", plot.ticks, text);
    each(figure, "text.time", plot.times, text);
    text(figure.querySelector(".summary"), plot.summary);
    text(figure.querySelector(".nothing"), plot.nothing);
  }

  async function renew(root) {
    const answer = await fetch(root.dataset.plots, { cache: "no-store" });
    if (!answer.ok) return;
    for (const plot of (await answer.json()).plots) {
      const figure = root.querySelector(`[data-plot="${plot.id}"]`);
      if (figure) draw(figure, plot);
    }
  }

  // One question at a time, none while nobody looks; an agent that is away is asked again.
  function follow(root) {
    const again = () => setTimeout(step, SECONDS * 1000);
    const step = () => (document.hidden ? again() : renew(root).then(again, again));
    again();
  }

  // What need not be scrolled is no stop for the Tab key.
  function stops() {
    document.querySelectorAll(".scroll").forEach((node) => {
      node.tabIndex = node.scrollWidth > node.clientWidth ? 0 : -1;
    });
  }

  document.querySelectorAll("[data-plots]").forEach(follow);
  addEventListener("resize", stops);
  stops();
})();
