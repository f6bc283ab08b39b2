// The page insists on a typesetter of formulas; the reading room has none to set.
window.MathJax = { Hub: { Config() {}, Configured() {}, Queue() {}, Register: { StartupHook() {} } } };
