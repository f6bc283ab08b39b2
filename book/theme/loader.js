// The widget manager asks the AMD loader for "anywidget": it lies beside this file.
require.config({ paths: { anywidget: new URL("vendor/anywidget", document.currentScript.src).href } });
// Live figures ask for their engine and networks when a reader moves something.
window.ctlabStatic = new URL(".", document.currentScript.src).href;
