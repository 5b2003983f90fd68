import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../runtime/package-root.ts';

/** A request to OPA's REST API, and what `opa run --server` answers. */
export interface Case {
  name: string;
  group: string;
  /** `core`: the sidecar answers the same. `stricter`, `refuse`: it answers otherwise, on purpose. */
  fits: 'core' | 'stricter' | 'refuse';
  /** How the server is configured: see servers.ts. */
  instance: Instance;
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | null;
  body_base64?: string;
  expect_status: number;
  expect_headers?: Record<string, string>;
  expect_body?: unknown;
  expect_text?: string;
  expect_empty?: boolean;
  expect_contains?: string[];
  /** What of an answer need not be the same to the letter, as a text that begins with `code-exact` or `set`. */
  match?: string;
  message_prefix?: string;
}

export const INSTANCES = ['default', 'limits', 'decision_log', 'auth'] as const;
export type Instance = (typeof INSTANCES)[number];

const file = join(packageRoot, 'test/contract/opa-cases/cases.json');

export const CASES: readonly Case[] = JSON.parse(readFileSync(file, 'utf8'));
