// Builds ../static from src: `node build.mjs`. One at a time: a lock file keeps a second build waiting.
import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, "src");
const target = join(here, "..", "static");
const lock = join(tmpdir(), `tagloom-frontend-${createHash("sha256").update(here).digest("hex").slice(0, 12)}.lock`);
const STALE_SECONDS = 120;
const entries = {
  theme: "theme.js",
  portal: "portal.js",
  charts: "charts.js",
  builder: "builder/index.jsx",
  tagloom: "tagloom.css",
  insight: "insight.css",
};

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const hash = (content) => createHash("sha256").update(content).digest("hex");

async function locked(work) {
  for (;;) {
    try {
      closeSync(openSync(lock, "wx"));
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      // A build that was killed leaves its lock behind.
      if (existsSync(lock) && Date.now() - statSync(lock).mtimeMs > STALE_SECONDS * 1000) rmSync(lock, { force: true });
      await sleep(300);
    }
  }
  try {
    await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function files(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? files(join(folder, entry.name)) : [join(folder, entry.name)]))
    .sort();
}

/** Hash of everything that decides what is built; tests/portal/test_static.py computes the same. */
function sourceHash() {
  const lines = [...files(source), join(here, "build.mjs"), join(here, "package-lock.json")]
    .map((file) => [relative(here, file).split(sep).join("/"), hash(readFileSync(file))])
    .sort(([first], [second]) => (first < second ? -1 : 1))
    .map(([name, digest]) => `${name} ${digest}\n`);
  return hash(lines.join(""));
}

function packageOf(input) {
  const parts = input.split("/");
  const position = parts.lastIndexOf("node_modules");
  if (position < 0) return null;
  const depth = parts[position + 1].startsWith("@") ? 3 : 2;
  return parts.slice(0, position + depth).join("/");
}

function licences(inputs) {
  const packages = [...new Set(inputs.map(packageOf).filter(Boolean))].sort();
  const texts = packages.map((folder) => {
    const about = JSON.parse(readFileSync(join(here, folder, "package.json"), "utf8"));
    const names = readdirSync(join(here, folder)).filter((name) => /^(licen[cs]e|notice)/i.test(name) && statSync(join(here, folder, name)).isFile()).sort();
    const text = names.map((name) => readFileSync(join(here, folder, name), "utf8").trim()).join("\n\n");
    if (!text && !about.license) throw new Error(`${about.name} says nothing of its licence.`);
    return `${about.name} ${about.version} (${about.license})\n${"=".repeat(60)}\n${text || `Licensed under ${about.license}.`}\n`;
  });
  return `The files beside this one contain code of these packages:\n\n${texts.join("\n")}`;
}

async function buildAll() {
  const existing = Object.entries(entries).filter(([, file]) => existsSync(join(source, file)));
  const result = await build({
    absWorkingDir: here,
    entryPoints: Object.fromEntries(existing.map(([name, file]) => [name, join(source, file)])),
    outdir: target,
    write: false,
    bundle: true,
    minify: true,
    metafile: true,
    format: "esm",
    target: ["es2022"],
    jsx: "automatic",
    legalComments: "none",
    charset: "utf8",
    define: { "process.env.NODE_ENV": '"production"' },
    loader: { ".woff2": "file", ".svg": "text" },
    assetNames: "[name]-[hash]",
    logLevel: "warning",
  });
  mkdirSync(target, { recursive: true });
  const built = {};
  const write = (name, content) => {
    built[name] = hash(content);
    // Whole or not at all: somebody may be reading the old one.
    writeFileSync(join(target, `.${name}.draft`), content);
    renameSync(join(target, `.${name}.draft`), join(target, name));
  };
  for (const file of result.outputFiles) write(relative(target, file.path), file.contents);
  for (const name of readdirSync(join(source, "icons"))) write(name, readFileSync(join(source, "icons", name)));
  // What is left out of the output by tree shaking needs no licence.
  const used = Object.values(result.metafile.outputs).flatMap((output) =>
    Object.entries(output.inputs).filter(([, input]) => input.bytesInOutput > 0).map(([name]) => name),
  );
  write("licences.txt", licences(used));
  const packages = [...new Set(used.map(packageOf).filter(Boolean))].map((folder) => JSON.parse(readFileSync(join(here, folder, "package.json"), "utf8")).name).sort();
  for (const name of readdirSync(target)) if (!built[name] && name !== "built.json") rmSync(join(target, name), { force: true, recursive: true });
  const report = { source: sourceHash(), packages, files: Object.fromEntries(Object.entries(built).sort()) };
  writeFileSync(join(target, ".built.draft"), `${JSON.stringify(report, null, 2)}\n`);
  renameSync(join(target, ".built.draft"), join(target, "built.json"));
  for (const name of Object.keys(built).sort()) console.log(`${name.padEnd(40)} ${String(statSync(join(target, name)).size).padStart(9)} bytes`);
}

await locked(buildAll);
