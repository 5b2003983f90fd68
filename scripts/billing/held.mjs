import { clientOf } from './client.mjs';
import { print, printJson, printTable } from './output.mjs';

/** @param {import('commander').Command} program */
export function addTo(program) {
  program
    .command('held')
    .description('lists usage that is not billed, because its model has no price')
    .option('--tenant-id <tenant>', 'of this tenant alone')
    .option('--json', 'writes it as JSON')
    .action(async ({ json, tenantId }, command) => {
      const client = await clientOf(command);
      const { data } = await client.get('/v1/held', { tenant_id: tenantId });
      if (json) return printJson({ data });
      if (data.length === 0) return print('no usage waits for a price');
      printTable(
        ['tenant', 'model', 'waits for', 'events', 'tokens', 'first', 'last'],
        data.map((/** @type {any} */ one) => [
          one.tenant_id,
          one.model,
          one.waits_for,
          one.events,
          one.tokens,
          one.first,
          one.last,
        ]),
      );
    });
}
