// The widget manager asks the AMD loader for "anywidget": it lies beside this file.
require.config({ paths: { anywidget: new URL("vendor/anywidget", document.currentScript.src).href } });

// A wide equation or table scrolls sideways: by keyboard too, as long as it is wider than its place.
window.addEventListener("load", () => {
  const watch = new ResizeObserver((seen) => {
    for (const { target } of seen) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const box of document.querySelectorAll("div.cell_output")) watch.observe(box);
  window.MathJax?.startup?.promise?.then(() => {
    for (const box of document.querySelectorAll('mjx-container[display="true"]')) watch.observe(box);
  });
});
