// Writes `schemas/json/*.json` from the zod schemas, for editors, `opa check` and other languages.
// `--check` writes nothing and fails if a file is not what its source makes. Needs the compiled `dist/`.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { modelsSchema } from '../dist/schemas/config/models.js';
import { tenantsSchema } from '../dist/schemas/config/tenants.js';
import { decisionRecordSchema } from '../dist/schemas/decision-record.js';
import { policyConfigSchema, policyInputSchema } from '../dist/schemas/policy-input.js';
import { decisionSchema, planSchema } from '../dist/schemas/policy-io.js';
import { usageEventSchema } from '../dist/schemas/usage-event.js';
import { usageReportSchema } from '../dist/schemas/usage-report.js';

const SCHEMAS = {
  config: policyConfigSchema,
  decision: decisionSchema,
  'decision-record': decisionRecordSchema,
  input: policyInputSchema,
  models: modelsSchema,
  plan: planSchema,
  tenants: tenantsSchema,
  'usage-event': usageEventSchema,
  'usage-report': usageReportSchema,
};

const folder = fileURLToPath(new URL('../schemas/json/', import.meta.url));
const check = process.argv.includes('--check');
const stale = [];

mkdirSync(folder, { recursive: true });
for (const [name, schema] of Object.entries(SCHEMAS)) {
  const file = `${folder}${name}.json`;
  const text = `${JSON.stringify(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), null, 2)}\n`;
  if (!check) writeFileSync(file, text);
  else if (read(file) !== text) stale.push(`schemas/json/${name}.json`);
}
if (stale.length) {
  console.error(`not what their sources make: ${stale.join(', ')}\n  run: npm run schemas`);
  process.exit(1);
}
console.log(`${Object.keys(SCHEMAS).length} JSON Schemas are ${check ? 'current' : 'written'}`);

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
