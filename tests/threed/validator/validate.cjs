// node validate.cjs FILE...: one JSON line each, Khronos' report on a GLB.
const fs = require("fs");
const path = require("path");
const validator = require("gltf-validator");

(async () => {
  for (const file of process.argv.slice(2)) {
    const bytes = new Uint8Array(fs.readFileSync(file));
    const report = await validator.validateBytes(bytes, { uri: path.basename(file), maxIssues: 20 });
    console.log(JSON.stringify(report));
  }
})();
