#!/usr/bin/env node
// The compiler as forge and build.py call it: `--version`, or standard JSON from stdin to stdout.
// npm's solc is the official compiler as WebAssembly: one file for every machine, and it downloads nothing.
"use strict";

const { readFileSync, writeSync } = require("fs");
const { join, normalize } = require("path");
const solc = require("solc");

function write(text) {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) done += writeSync(1, bytes, done);
}

// Reads imports that the request does not contain, such as those of node_modules; none from outside this folder.
function find(path) {
  const clean = normalize(path);
  if (clean.startsWith("..") || clean.startsWith("/")) return { error: `${path} is outside the project` };
  try {
    return { contents: readFileSync(join(__dirname, clean), "utf8") };
  } catch (error) {
    return { error: error.message };
  }
}

if (process.argv.includes("--version")) {
  write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else {
  write(solc.compile(readFileSync(0, "utf8"), { import: find }));
}
