// Runs primary.R of a report folder in R compiled to WebAssembly (npm: webr, ws). Base R only.
import { createRequire } from "node:module";
import { join } from "node:path";

const { WebR } = createRequire(join(process.env.WEBR_MODULES, "x.js"))("webr");
const webR = new WebR({ interactive: false });
await webR.init();
await webR.FS.mkdir("/study");
await webR.FS.mount("NODEFS", { root: process.argv[2] }, "/study");
const shelter = await new webR.Shelter();
let failed = false;
try {
  const source = 'commandArgs <- function(...) "/study"; source("/study/primary.R", echo = FALSE)';
  const { output } = await shelter.captureR(source, { withAutoprint: false, throwJsException: true });
  for (const line of output) if (typeof line.data === "string") console.log(line.data);
} catch (error) {
  console.error(String(error.message ?? error));
  failed = true;
}
webR.close();
process.exit(failed ? 1 : 0);
