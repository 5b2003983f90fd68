import { join } from 'node:path';
import { packageRoot } from '../../../runtime/package-root.ts';
import { startOpa } from '../../helpers/opa-server.ts';
import { startRedis } from '../../helpers/redis-server.ts';
import { startSidecar } from '../../helpers/services.ts';
import { tempDir } from '../../helpers/temp-dir.ts';
import type { Instance } from './case.ts';

const POLICIES = join(packageRoot, 'test/policies/opa-cases');
const AUTHZ = join(packageRoot, 'test/contract/opa-cases/authz');

/** One configuration, as both say it. */
const CONFIGURED: Record<Instance, { sidecar: Record<string, string>; opa: string[]; files?: string[] }> = {
  default: { sidecar: {}, opa: [] },
  limits: {
    sidecar: { MAX_BODY_BYTES: '1024', GZIP_MIN_BYTES: '3' },
    opa: [
      ...['--set', 'server.decoding.max_length=1024'],
      ...['--set', 'server.decoding.gzip.max_length=1024'],
      ...['--set', 'server.encoding.gzip.min_length=3'],
    ],
  },
  decision_log: { sidecar: { DECISION_LOGS: 'console' }, opa: ['--set', 'decision_logs.console=true'] },
  auth: {
    sidecar: { OPA_TOKEN: 'good-token' },
    opa: ['--authentication', 'token', '--authorization', 'basic'],
    files: [AUTHZ],
  },
};

export interface Servers {
  sidecar: Record<Instance, string>;
  opa: Record<Instance, string>;
  stop(): Promise<void>;
}

/** The sidecar and a real OPA on the same policies, each in the configurations asked for. */
export async function startServers(instances: readonly Instance[]): Promise<Servers> {
  const redis = await startRedis();
  const stops: (() => Promise<unknown>)[] = [() => redis.stop()];
  const sidecar: Record<string, string> = {};
  const opa: Record<string, string> = {};
  for (const instance of instances) {
    const configured = CONFIGURED[instance];
    const ours = await startSidecar({
      REDIS_URL: redis.url,
      DATA_DIR: await tempDir(),
      POLICY_BUNDLE: `${POLICIES}.tar.gz`,
      ...configured.sidecar,
    });
    stops.unshift(() => ours.process.stop());
    const theirs = await startOpa({ files: [POLICIES, ...(configured.files ?? [])], args: configured.opa });
    stops.unshift(() => theirs.stop());
    sidecar[instance] = ours.url;
    opa[instance] = theirs.url;
  }
  return {
    sidecar,
    opa,
    stop: async () => {
      for (const stop of stops) await stop();
    },
  };
}
