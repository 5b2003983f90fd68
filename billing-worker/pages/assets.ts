import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Hono } from 'hono';
import { packageRoot } from '../../runtime/package-root.ts';

const TYPES = {
  'pages.css': 'text/css; charset=utf-8',
  'live.js': 'text/javascript; charset=utf-8',
  'icon.svg': 'image/svg+xml',
};

const FILES = new Map(
  Object.entries(TYPES).map(([name, type]) => {
    const text = readFileSync(join(packageRoot, 'billing-worker', 'pages', 'assets', name), 'utf8');
    const mark = createHash('sha256').update(text).digest('hex').slice(0, 12);
    return [name, { text, type, address: `/pages/${mark}/${name}` }];
  }),
);

const addressOf = (name: keyof typeof TYPES): string => FILES.get(name)?.address ?? '';

/** Their addresses: another one with each change, so that a browser may keep them for ever. */
export const ASSETS = { css: addressOf('pages.css'), live: addressOf('live.js'), icon: addressOf('icon.svg') };

/** The stylesheet, the script and the icon: the same for everybody, who need not have signed in. */
export function assetRoutes(): Hono {
  const app = new Hono();
  for (const { address, text, type } of FILES.values()) {
    app.get(address, (c) =>
      c.body(text, 200, {
        'Content-Type': type,
        'Cache-Control': 'public, max-age=31536000, immutable',
        'X-Content-Type-Options': 'nosniff',
      }),
    );
  }
  return app;
}
