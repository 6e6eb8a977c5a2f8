#!/usr/bin/env node
// Lets forge use the solc of package.json: answers --version as the native compiler does, else pipes standard JSON through solcjs.
"use strict";
const solc = require("solc");

if (process.argv.includes("--version")) {
  const version = solc.version().replace(/\.Emscripten.*$/, "");
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${version}.Linux.g++\n`);
} else {
  process.stdout.write(solc.compile(require("fs").readFileSync(0, "utf8")));
}
