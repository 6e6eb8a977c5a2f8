#!/usr/bin/env node
// Compiles src/ and writes artifacts/NAME.json; with --check compares instead and exits 1 on a difference.
// The bytecode carries no metadata, so it depends on the sources, the compiler version and SETTINGS alone.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");

const CONTRACTS = [
  "DataMarket", "ProverRegistry", "Money", "Proofs", "Selection", "Terms", "Verified", "ZkVerifier", "ZkVerifiers",
  "SecModelUpdate", "SecModelUpdates",
];
// Where they are, if not in src itself; whose errors they can revert with besides their own.
const FOLDERS = { ZkVerifier: "zk/", ZkVerifiers: "zk/", SecModelUpdate: "onchain/", SecModelUpdates: "onchain/", ModelChunk: "onchain/" };
const CALLED = {
  DataMarket: CONTRACTS.slice(1, 9),
  SecModelUpdate: ["ModelChunk"],
  SecModelUpdates: ["SecModelUpdate"],
};
const SETTINGS = {
  optimizer: { enabled: true, runs: 200 },
  viaIR: true,
  evmVersion: "prague",
  metadata: { bytecodeHash: "none", appendCBOR: false },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.bytecode.linkReferences", "evm.deployedBytecode.object"] } },
};

const root = __dirname;

/** Every .sol file of src/ and the folders in it by its path from here. */
function sources(folder = "src") {
  const found = {};
  for (const entry of fs.readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const name = `${folder}/${entry.name}`;
    if (entry.isDirectory()) Object.assign(found, sources(name));
    else if (name.endsWith(".sol")) found[name] = { content: fs.readFileSync(path.join(root, name), "utf8") };
  }
  return found;
}

/** SHA-256 over name, length and text of each source in order (loader.source_hash computes the same). */
function sourceHash(files) {
  const hash = crypto.createHash("sha256");
  for (const name of Object.keys(files).sort()) {
    const text = Buffer.from(files[name].content, "utf8");
    hash.update(`${name}\n${text.length}\n`);
    hash.update(text);
  }
  return "0x" + hash.digest("hex");
}

function compile(files) {
  const solc = require("solc");
  const find = (name) => {
    const file = path.join(root, "node_modules", name);
    return fs.existsSync(file) ? { contents: fs.readFileSync(file, "utf8") } : { error: `${name} not found` };
  };
  const input = JSON.stringify({ language: "Solidity", sources: files, settings: SETTINGS });
  const output = JSON.parse(solc.compile(input, { import: find }));
  const problems = output.errors || [];
  for (const problem of problems) {
    const ours = !problem.sourceLocation || problem.sourceLocation.file.startsWith("src/");
    if (ours || problem.severity === "error") process.stderr.write(problem.formattedMessage);
  }
  if (problems.some((problem) => problem.severity === "error")) process.exit(1);
  return output.contracts;
}

/** An ABI that also names the errors of what it calls, so that a client can decode every revert. */
function withErrors(abi, others) {
  const key = (entry) => JSON.stringify([entry.type, entry.name, entry.inputs]);
  const known = new Set(abi.map(key));
  const extra = others.flat().filter((entry) => entry.type === "error" && !known.has(key(entry)) && known.add(key(entry)));
  return abi.concat(extra);
}

function main() {
  const check = process.argv.includes("--check");
  const files = sources();
  const hash = sourceHash(files);
  const compiled = compile(files);
  const of = (name) => compiled[`src/${FOLDERS[name] || ""}${name}.sol`][name];
  let different = false;
  for (const name of CONTRACTS) {
    const { abi, evm } = of(name);
    const size = evm.deployedBytecode.object.length / 2;
    if (size > 24576) throw new Error(`${name}: ${size} bytes of runtime code, the limit is 24576`);
    const full = withErrors(abi, (CALLED[name] || []).map((other) => of(other).abi));
    const artifact = { abi: full, bytecode: "0x" + evm.bytecode.object, linkReferences: evm.bytecode.linkReferences, sourceHash: hash };
    const text = JSON.stringify(artifact, null, 1) + "\n";
    const file = path.join(root, "artifacts", `${name}.json`);
    if (!check) fs.writeFileSync(file, text);
    else if (!fs.existsSync(file) || fs.readFileSync(file, "utf8") !== text) {
      different = true;
      process.stderr.write(`artifacts/${name}.json does not come from src/: run npm run build\n`);
    }
    process.stdout.write(`${name} ${size} bytes\n`);
  }
  if (different) process.exit(1);
}

main();
