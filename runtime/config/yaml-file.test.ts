import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { tenantsSchema } from '../../schemas/config/tenants.ts';
import { ConfigError } from './config-error.ts';
import { readYamlFile } from './yaml-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'yaml-file-'));
const file = join(folder, 'tenants.yaml');
afterAll(() => rmSync(folder, { recursive: true }));

const DEFAULTS = `defaults: { capacity: 10000, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month, anchor_day: 1, timezone: UTC } }`;

function problems(text: string): string[] {
  writeFileSync(file, text);
  try {
    readYamlFile(file, tenantsSchema);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).problems.map((problem) => problem.replace(file, 'tenants.yaml'));
  }
  throw new Error('was accepted');
}

test('a right file is read, with its defaults filled in', () => {
  writeFileSync(file, `${DEFAULTS}\ntenants:\n  acme: {}\n  bare:\n  globex: { capacity: 50000 }\n`);
  expect(readYamlFile(file, tenantsSchema)).toMatchObject({
    unknown_tenants: 'default',
    tenants: { acme: {}, bare: {}, globex: { capacity: 50_000 } },
  });
});

describe('a wrong file is refused with line, column, what is wrong and what would be right', () => {
  test.each([
    [
      'an unknown key',
      `${DEFAULTS}\ntenants:\n  acme: { capcity: 5 }\n`,
      'tenants.yaml:3:11: tenants.acme.capcity: unknown key; known here: capacity, refill, price_per_token, billing_cycle, plan, stripe_customer',
    ],
    [
      'a negative capacity',
      `${DEFAULTS}\ntenants:\n  acme:\n    capacity: -5\n`,
      'tenants.yaml:4:5: tenants.acme.capacity: must be a whole number from 0 to 9007199254740991 (it is -5)',
    ],
    [
      'an unknown time zone',
      DEFAULTS.replace('UTC', 'Mars/Olympus'),
      'tenants.yaml:1:119: defaults.billing_cycle.timezone: must be a known time zone, an IANA name such as "Europe/Berlin" (it is "Mars/Olympus")',
    ],
    [
      'a word that is none of the choices',
      `${DEFAULTS}\nunknown_tenants: maybe\n`,
      'tenants.yaml:2:1: unknown_tenants: must be one of "default", "deny" (it is "maybe")',
    ],
    ['a missing key', 'tenants: {}\n', 'tenants.yaml:1:1: defaults: is missing'],
    [
      'money without quotes',
      `${DEFAULTS}\ntenants: { a: { price_per_token: 0.1 } }\n`,
      'tenants.yaml:2:17: tenants.a.price_per_token: must be a decimal number in quotes, such as "0.0001" (it is 0.1)',
    ],
  ])('%s', (_, text, problem) => {
    expect(problems(text)).toEqual([problem]);
  });

  test('bad YAML', () => {
    expect(problems(`${DEFAULTS}\ntenants:\n\t- x\n`)[0]).toMatch(/^tenants\.yaml:3:1: not valid YAML: /);
  });

  test('a key given twice', () => {
    expect(problems(`${DEFAULTS}\nunknown_tenants: deny\nunknown_tenants: default\n`)[0]).toMatch(
      /tenants\.yaml:3:1: not valid YAML/,
    );
  });

  test('a file that is not there', () => {
    expect(() => readYamlFile(join(folder, 'none.yaml'), tenantsSchema)).toThrow('there is no such file');
  });
});
