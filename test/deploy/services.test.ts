import { execFile } from 'node:child_process';
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createClient } from 'redis';
import { beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS, bringNode, bringRedis } from '../helpers/bring.ts';
import { Child } from '../helpers/child.ts';
import { eventually } from '../helpers/eventually.ts';
import { onFreePort } from '../helpers/free-port.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { readComposeFile, words } from './compose-file.ts';
import { lastStage, layOutImage } from './image.ts';

const { services } = readComposeFile();
const exec = promisify(execFile);

/** That of the image. */
let node: string;
beforeAll(async () => {
  node = await bringNode();
}, BRING_TIMEOUT_MS);

/** Variables of the compose file as someone has set them who types the command in its first lines. */
const fill = (value: string | number): string =>
  String(value).replace(/\$\{(\w+):([-?])([^}]*)\}/g, (_, name, kind, text) => (kind === '-' ? text : `the-${name}`));

test('the redis service’s flags are those of a real redis-server, make it durable, and let its file grow', async () => {
  const [program, ...flags] = words(services.redis?.command);
  expect(program).toBe('redis-server');
  const [server, dir] = await Promise.all([bringRedis(), tempDir('redis')]);
  const url = await onFreePort(
    async (port) => {
      const child = new Child(server, {
        args: [...flags, '--port', String(port), '--bind', '127.0.0.1', '--dir', dir],
      });
      await child.waitForLine(/Ready to accept connections/);
      return `redis://127.0.0.1:${port}`;
    },
    (error) => /Address already in use/.test(String(error)),
  );
  const client = await createClient({ url }).connect();
  const set = await client.configGet(['appendonly', 'auto-aof-rewrite-min-size', 'maxmemory-policy', 'save']);
  expect(set).toEqual({
    appendonly: 'yes',
    'auto-aof-rewrite-min-size': String(512 * 2 ** 20),
    'maxmemory-policy': 'noeviction',
    save: '',
  });
  await client.close();
});

test('the image runs as another user than root and says how it is', async () => {
  const instructions = await lastStage();
  expect(instructions.find((line) => line.startsWith('USER '))).toBe('USER node');
  expect(instructions.some((line) => line.startsWith('HEALTHCHECK '))).toBe(true);
  expect(instructions[0]).toMatch(/^FROM node:\d+\.\d+\.\d+-[\w-]+$/);
});

test('the image runs Node with the options of `npm start` and `npm run sidecar`, and Node takes them', async () => {
  const { scripts } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8'));
  const [, options = ''] = /^node (-.*) scripts\/start\.mjs$/.exec(scripts.start) ?? [];
  expect(scripts.sidecar).toBe(`node ${options} scripts/start.mjs sidecar/main.js`);
  expect(await lastStage()).toContain(`ENV NODE_OPTIONS=${options}`);
  const { stdout } = await exec(node, ['-p', 'process.env.NODE_OPTIONS'], {
    env: { ...process.env, NODE_OPTIONS: options },
  });
  expect(stdout.trim()).toBe(options);
});

/** The image's own health check, on other ports; a closed one is where nothing listens. */
async function imageHealth(...ports: string[]): Promise<number> {
  const line = (await lastStage()).find((each) => each.startsWith('HEALTHCHECK ')) ?? '';
  const [program, ...args]: string[] = JSON.parse(/CMD (\[.*\])$/.exec(line)?.[1] ?? '[]');
  expect(program).toBe('node');
  const script = (args.at(-1) ?? '').replace('8181, 8182', ports.join(', '));
  const checked = exec(node, [...args.slice(0, -1), script]);
  return checked.then(
    () => 0,
    ({ code }) => code,
  );
}

const CLOSED = '1';

async function decides(url: string, { OPA_TOKEN }: Record<string, string>): Promise<void> {
  const response = await fetch(`${url}/v1/data/openclaw/rate_limit/allow`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${OPA_TOKEN}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ input: { tenant_id: 'acme', user_id: 'alice', model: 'anthropic/claude-sonnet-4-5' } }),
  });
  expect(await response.json()).toMatchObject({ result: true });
}

async function tellsUsage(url: string, { ADMIN_TOKEN }: Record<string, string>): Promise<void> {
  const response = await fetch(`${url}/v1/usage?tenant_id=acme`, {
    headers: { Authorization: `Bearer ${ADMIN_TOKEN}` },
  });
  expect(await response.json()).toMatchObject({ data: expect.any(Array), cycle: { start: expect.any(String) } });
}

describe('from what the image holds and the compose file says', () => {
  let app: string;
  let connections: Record<string, string>;

  beforeAll(async () => {
    const [image, redis, database] = await Promise.all([layOutImage(), startRedis(), createDatabase()]);
    app = image;
    connections = { HOST: '127.0.0.1', REDIS_URL: redis.url, DATABASE_URL: database.url };
  }, 180_000);

  test('the image holds no sources', async () => {
    const files = await readdir(app, { recursive: true });
    expect(files.filter((file) => /\.tsx?$/.test(file) && !file.startsWith('node_modules'))).toEqual([]);
    expect(files).toContain('dist/sidecar/main.js');
  });

  test('the program that the image starts by itself is there', async () => {
    const [, command = '[]'] = /^CMD (.*)$/.exec((await lastStage()).at(-1) ?? '') ?? [];
    const [program, script = ''] = JSON.parse(command);
    expect(program).toBe('node');
    await access(join(app, script));
  });

  test.for([
    ['sidecar', 'PORT', decides],
    ['worker', 'BILLING_PORT', tellsUsage],
  ] as const)(
    'the %s starts by its command, does its work, and its health check passes',
    async ([name, portVariable, works]) => {
      const { command, environment = {}, healthcheck, ports = [] } = services[name] ?? { healthcheck: { test: [] } };
      const port = String(environment[portVariable]);
      expect(ports).toEqual([`127.0.0.1:${port}:${port}`]);
      const filled = Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, fill(value)]));
      expect(Object.keys(filled)).toEqual(expect.arrayContaining(Object.keys(connections)));

      const [started, ...args] = words(command);
      expect(started).toBe('node');
      const env = { ...filled, ...connections, [portVariable]: '0' };
      const child = new Child(node, { args, env, cwd: app });
      const said = await child.waitForLine(/"url":"http:[^"]+:\d+"/, 30_000);
      const listening = /:(\d+)"/.exec(said)?.[1] ?? '';

      const [kind, program, ...check] = healthcheck.test;
      expect([kind, program]).toEqual(['CMD', 'node']);
      const checkOn = (at: string) =>
        exec(
          node,
          check.map((word) => word.replace(`:${port}/`, `:${at}/`)),
        );
      await eventually(() => checkOn(listening));
      await works(`http://127.0.0.1:${listening}`, filled);
      expect(await imageHealth(listening, CLOSED)).toBe(0);
      expect(await imageHealth(CLOSED, CLOSED)).toBe(1);
      await child.stop();
      await expect(checkOn(listening)).rejects.toThrow();
    },
  );
});
