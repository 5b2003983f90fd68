import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startSidecar } from '../helpers/services.ts';
import { ask } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { type Observed, startObserved } from './observed-services.ts';
import { OtlpReceiver } from './otlp-receiver.ts';

const OTHERS = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

let receiver: OtlpReceiver;
let services: Observed;

beforeAll(async () => {
  receiver = await OtlpReceiver.start();
  services = await startObserved({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-collector-key=the%20key',
  });
}, 60_000);

test('one span for each phase, below that of the request, below that of the caller', async () => {
  const { body } = await services.decide(
    { tenant_id: 'acme', user_id: 'alice' },
    { traceparent: `00-${OTHERS}-${PARENT}-01`, tracestate: 'vendor=1' },
  );
  await eventually(() => expect(receiver.of(OTHERS)).toHaveLength(5), { timeoutMs: 15_000 });
  const spans = receiver.of(OTHERS);
  const request = spans.find(({ parentSpanId }) => parentSpanId === PARENT);
  expect(request).toMatchObject({
    service: 'openclaw-sidecar',
    scope: 'sidecar',
    name: 'POST /v1/data/*',
    attributes: { 'http.request.method': 'POST', 'http.route': '/v1/data/*', 'http.response.status_code': 200 },
    events: [
      {
        name: 'decision',
        attributes: { 'openclaw.decision_id': body.decision_id, 'openclaw.allow': true, 'openclaw.reason': 'ok' },
      },
    ],
  });
  const phases = spans.filter((span) => span !== request);
  expect(phases.map(({ name }) => name).toSorted()).toEqual(['decide', 'identify', 'plan', 'take']);
  for (const { name, parentSpanId, took } of phases) {
    expect(parentSpanId, name).toBe(request?.spanId);
    expect(took).toBeGreaterThanOrEqual(0);
    expect(took).toBeLessThanOrEqual(request?.took ?? 0);
  }
  expect(new Set(receiver.headers)).toEqual(new Set(['the key']));
});

test('who names no trace begins one; whose trace is not recorded has none; probes have none', async () => {
  const unsampled = '1af7651916cd43dd8448eb211c80319c';
  await services.decide({ tenant_id: 'acme', user_id: 'bob' }, { traceparent: `00-${unsampled}-${PARENT}-00` });
  await fetch(`${services.sidecar.url}/health`);
  await fetch(`${services.sidecar.url}/metrics`);
  const { body } = await services.decide({ tenant_id: 'acme', user_id: 'carol' });
  const begun = await eventually(
    () => {
      const found = receiver.spans.find(
        ({ events }) => events[0]?.attributes['openclaw.decision_id'] === body.decision_id,
      );
      expect(found).toBeDefined();
      return found;
    },
    { timeoutMs: 15_000 },
  );
  expect(begun?.parentSpanId || undefined).toBeUndefined();
  expect(receiver.of(begun?.traceId ?? '')).toHaveLength(5);
  expect(receiver.of(unsampled)).toEqual([]);
  expect(receiver.spans.filter(({ name }) => /health|metrics/.test(name))).toEqual([]);
});

test('the billing worker traces its batches and its requests', async () => {
  await fetch(`${services.worker.url}/v1/usage`, {
    headers: { traceparent: `00-${OTHERS.replace('0', '2')}-${PARENT}-01` },
  });
  await eventually(
    () => {
      const ours = receiver.spans.filter(({ service }) => service === 'openclaw-billing-worker');
      expect(ours.map(({ name }) => name)).toEqual(expect.arrayContaining(['ledger.append', 'GET /v1/usage']));
    },
    { timeoutMs: 15_000 },
  );
  const written = receiver.spans.filter(({ name }) => name === 'ledger.append');
  expect(written.reduce((sum, { attributes }) => sum + Number(attributes['openclaw.entries']), 0)).toBeGreaterThan(0);
});

/** Of a process that was started with NODE_V8_COVERAGE and has ended: all files that it loaded. */
async function loadedBy(folder: string): Promise<string[]> {
  const reports = (await readdir(folder)).map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')));
  return (await Promise.all(reports)).flatMap(({ result }) => result.map(({ url }: { url: string }) => url));
}

// prom-client loads the bare API by itself.
test('where no collector is named, nothing of OpenTelemetry’s SDK is loaded', async () => {
  const [{ url }, withOne, without] = await Promise.all([startRedis(), tempDir('coverage'), tempDir('coverage')]);
  const shared = { REDIS_URL: url, DATA_DIR: await tempDir('data') };
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
  const sidecars = await Promise.all([
    startSidecar({ ...shared, ...endpoint, NODE_V8_COVERAGE: withOne }),
    startSidecar({ ...shared, NODE_V8_COVERAGE: without }),
  ]);
  await Promise.all(sidecars.map((sidecar) => ask(sidecar.url, { tenant_id: 'acme' })));
  await Promise.all(sidecars.map(({ process }) => process.stop()));
  const isOfItsSdk = (file: string) => /@opentelemetry\/(?!api\/)/.test(file);
  expect((await loadedBy(withOne)).filter(isOfItsSdk).length).toBeGreaterThan(10);
  const files = await loadedBy(without);
  expect(files.some((file) => file.includes('prom-client'))).toBe(true);
  expect(files.filter(isOfItsSdk)).toEqual([]);
});
