import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { packageRoot } from '../../runtime/package-root.ts';

interface Step {
  uses?: string;
  run?: string;
  with?: Record<string, unknown>;
}

interface Job {
  permissions?: Record<string, string>;
  needs?: string;
  'timeout-minutes'?: number;
  steps: Step[];
}

interface Workflow {
  on: Record<string, unknown>;
  permissions?: Record<string, string>;
  jobs: Record<string, Job>;
}

/** What a job may do besides reading the code, and nothing more. */
const MAY: Record<string, Record<string, string>> = {
  'release.yml publish': { contents: 'read', 'id-token': 'write' },
  'release.yml release': { contents: 'write' },
};

const folder = join(packageRoot, '.github/workflows');
const names = (await readdir(folder)).sort();
const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
const workflows = names.map((name, i) => ({ name, text: texts[i] ?? '', workflow: parse(texts[i] ?? '') as Workflow }));
const jobs = workflows.flatMap(({ name, workflow }) =>
  Object.entries(workflow.jobs).map(([id, job]) => ({ id: `${name} ${id}`, job })),
);
const steps = jobs.flatMap(({ job }) => job.steps);

test('there are the two that the documentation speaks of', () => {
  expect(names).toEqual(['ci.yml', 'release.yml']);
});

describe.each(workflows)('$name', ({ text, workflow }) => {
  test('each action is one commit, with the version that it is in a comment', () => {
    const uses = text.split('\n').filter((line) => /^\s*(- )?uses:/.test(line));
    expect(uses.length).toBe(
      Object.values(workflow.jobs).flatMap((job) => job.steps.filter((step) => step.uses)).length,
    );
    for (const line of uses) expect(line).toMatch(/uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  test('it may read, is not started by strangers with secrets, and puts no text of an event into a script', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
    expect(Object.keys(workflow.on)).not.toContain('pull_request_target');
    expect(Object.keys(workflow.on)).not.toContain('workflow_run');
    for (const job of Object.values(workflow.jobs))
      for (const { run = '' } of job.steps) expect(run).not.toContain('${{');
  });
});

test.each(jobs)('$id may do what it must, and ends', ({ id, job }) => {
  expect(job.permissions).toEqual(MAY[id]);
  expect(job['timeout-minutes']).toBeGreaterThan(0);
});

test('no step finds the token of the one before on the disk', () => {
  const checkouts = steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'));
  expect(checkouts.length).toBe(jobs.length);
  for (const checkout of checkouts) expect(checkout.with).toEqual({ 'persist-credentials': false });
});

test('the same action is the same commit everywhere', () => {
  const pins = new Set(steps.flatMap(({ uses }) => uses ?? []));
  expect(new Set([...pins].map((pin) => pin.split('@')[0])).size).toBe(pins.size);
});

test('the package is published with its provenance, by no token that is kept, after everything has passed', () => {
  const { workflow } = workflows.find(({ name }) => name === 'release.yml') ?? expect.fail();
  const { check, publish, release } = workflow.jobs;
  const said = publish?.steps.map(({ run }) => run ?? '').join('\n');
  expect(said).toMatch(/npm publish --provenance/);
  expect(check?.steps.map(({ run }) => run)).toContain('bash .ci/run');
  expect([publish?.needs, release?.needs]).toEqual(['check', 'publish']);
  for (const { text } of workflows) expect(text).not.toMatch(/secrets\.|NODE_AUTH_TOKEN|_authToken/);
});

test('every script that is run is there', async () => {
  const { scripts } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8'));
  const run = steps.flatMap(({ run = '' }) =>
    [...run.matchAll(/npm run (?:--silent )?([\w:]+)/g)].map(([, name]) => name),
  );
  expect(run.length).toBeGreaterThan(0);
  for (const name of run) expect(scripts).toHaveProperty([name ?? '']);
});
