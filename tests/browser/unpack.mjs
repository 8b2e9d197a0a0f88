// Unpack the Chromium that @sparticuz/chromium carries, with the libraries and the font that a bare
// machine lacks: no root, no download, the version of package-lock.json. Linux on x86-64.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const modules = join(dirname(fileURLToPath(import.meta.url)), "node_modules");
const home = join(modules, ".chromium");
if (!existsSync(home)) {
  const half = `${home}.half`;
  rmSync(half, { recursive: true, force: true });
  mkdirSync(half);
  process.env.TMPDIR = half; // where `inflate` writes
  const { inflate } = await import("@sparticuz/chromium");
  const packed = join(modules, "@sparticuz", "chromium", "bin");
  for (const name of ["chromium.br", "al2023.tar.br", "fonts.tar.br", "swiftshader.tar.br"])
    await inflate(join(packed, name));
  writeFileSync(
    join(half, "fonts.conf"),
    `<?xml version="1.0"?><fontconfig><dir>/usr/share/fonts</dir><dir>${home}/fonts</dir>` +
      `<cachedir>${home}/cache</cachedir></fontconfig>\n`,
  );
  renameSync(half, home);
}
