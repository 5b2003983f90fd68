/**
 * @typedef {object} LockedPackage
 * @property {string} [version]
 * @property {boolean} [dev]
 * @property {boolean} [optional]
 * @property {string[]} [os]
 * @property {string[]} [cpu]
 * @property {string[]} [libc]
 * @property {Record<string, string>} [engines]
 * @property {Record<string, string>} [optionalDependencies]
 *
 * @typedef {{ packages: Record<string, LockedPackage> }} Lockfile
 */

const PLATFORM =
  /(?:^|[/-])(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)-(arm64|arm|ia32|loong64|mips64el|ppc64|riscv64|s390x|x64)(?:-(\w+))?$/;

/**
 * Adds what `npm ci` misses in a lockfile that was written from a registry which does not carry every platform's
 * packages: npm then leaves those for other systems out, and refuses its own lockfile afterwards. They are added with
 * version and platform, without a checksum.
 * @param {Lockfile} lockfile
 * @returns {{ lockfile: Lockfile, added: string[] }}
 */
export function completeLockfile(lockfile) {
  const packages = { ...lockfile.packages };
  const added = [];
  for (const [path, owner] of Object.entries(lockfile.packages)) {
    for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
      const [, os, cpu, abi = ''] = PLATFORM.exec(name) ?? [];
      const known = packages[`${path}/node_modules/${name}`] ?? packages[`node_modules/${name}`];
      if (known || !os || !cpu || !/^\d/.test(version)) continue;
      packages[`node_modules/${name}`] = platformPackage(owner, { version, os, cpu, abi });
      added.push(name);
    }
  }
  const sorted = Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
  return { lockfile: { ...lockfile, packages: Object.fromEntries(sorted) }, added };
}

/**
 * With the keys in npm's own order.
 * @param {LockedPackage} owner
 * @param {{ version: string, os: string, cpu: string, abi: string }} platform
 * @returns {LockedPackage}
 */
function platformPackage({ dev, engines }, { version, os, cpu, abi }) {
  const libc = /musl/.test(abi) ? 'musl' : /gnu/.test(abi) ? 'glibc' : undefined;
  return {
    version,
    cpu: [cpu],
    ...(dev ? { dev } : {}),
    ...(libc && os === 'linux' ? { libc: [libc] } : {}),
    optional: true,
    os: [os],
    ...(engines ? { engines } : {}),
  };
}
