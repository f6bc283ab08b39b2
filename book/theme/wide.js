// A wide equation or table scrolls sideways: by keyboard too, as long as it is wider than its place.
window.addEventListener("load", () => {
  const watch = new ResizeObserver((seen) => {
    for (const { target } of seen) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  const boxes = "div.cell_output, .pst-scrollable-table-container";
  for (const box of document.querySelectorAll(boxes)) watch.observe(box);
  window.MathJax?.startup?.promise?.then(() => {
    for (const box of document.querySelectorAll('mjx-container[display="true"]')) watch.observe(box);
  });
});

// The theme's arrows in the table of contents have no name for those who cannot see them.
document.addEventListener("DOMContentLoaded", () => {
  for (const arrow of document.querySelectorAll("nav summary")) {
    const page = arrow.closest("li")?.querySelector("a")?.textContent.trim();
    if (page) arrow.setAttribute("aria-label", `Pages of ${page}`);
  }
});
