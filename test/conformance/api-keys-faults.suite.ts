import { describe, expect, test } from 'vitest';
import { type ApiKey, gateOfKey } from '../../schemas/api-key.ts';
import { ApiKeyBench } from './api-keys-bench.ts';
import { limit, type Workbench } from './workbench.ts';

const ELSE = 'something else';

/** API keys on a server, in which anybody may write anything. */
export function describeApiKeyFaults(bench: () => Workbench): void {
  const on = () => {
    const keys = new ApiKeyBench(bench());
    const named = (kind: string) => `ocr:{p${keys.partition}}:${kind}`;
    return { keys, hash: named('keys'), used: named('keys-used'), stream: named('usage') };
  };
  const isOpen = async (id: string) => (await bench().take(limit(), { keyGate: gateOfKey(id) })).kind === 'taken';

  test('C18 API keys that are lost are missed, and published again', async () => {
    const { hash, keys } = on();
    const { partition } = keys;
    const { store } = bench();
    const first = await keys.issued('first');
    await store.publishApiKeys({ partition, keys: [], complete: true });
    expect(await store.partitionsWithoutApiKeys()).not.toContain(partition);
    await bench().send(['DEL', hash]);
    expect(await store.partitionsWithoutApiKeys()).toContain(partition);
    expect(await store.apiKey(first.id)).toBeUndefined();
    const second = await keys.issued('second');
    expect(await store.partitionsWithoutApiKeys()).toContain(partition);
    await store.publishApiKeys({ partition, keys: [{ ...first, revision: 3 }], complete: true });
    expect(await store.partitionsWithoutApiKeys()).not.toContain(partition);
    expect(await store.apiKey(first.id)).toEqual({ ...first, revision: 3 });
    expect(await store.apiKey(second.id)).toEqual(second);
  });

  describe('C18 what holds something else is not written, and nothing beside it', () => {
    test('where the keys are to be', async () => {
      const { hash, keys, stream } = on();
      const { partition } = keys;
      const { store } = bench();
      const revoked = keys.key('revoked', { revoked_at: 5 });
      await bench().send(['SET', hash, ELSE]);
      await expect(keys.change([revoked], { closeGates: [gateOfKey(revoked.id)] })).rejects.toThrow(/WRONGTYPE/);
      for (const given of [[], [revoked]]) {
        await expect(store.publishApiKeys({ partition, keys: given, complete: true })).rejects.toThrow(/WRONGTYPE/);
      }
      await expect(store.apiKey(revoked.id)).rejects.toThrow(/WRONGTYPE/);
      await expect(store.apiKeys({ limit: 3 })).rejects.toThrow(/WRONGTYPE/);
      await expect(store.noteApiKeysUsed(new Map([[revoked.id, 1]]))).rejects.toThrow(/WRONGTYPE/);
      expect(await store.partitionsWithoutApiKeys()).not.toContain(partition);
      expect(await bench().send(['EXISTS', stream])).toBe(0);
      expect(await isOpen(revoked.id)).toBe(true);
      expect(await bench().send(['GET', hash])).toBe(ELSE);
    });

    test('where the events are to be', async () => {
      const { keys, stream } = on();
      const first = await keys.issued('first');
      await bench().send(['RENAME', stream, `${stream}:aside`]);
      await bench().send(['SET', stream, ELSE]);
      const revoked = { ...first, revision: 2, revoked_at: 5 };
      const change = keys.change([revoked, keys.key('second')], { closeGates: [gateOfKey(first.id)] });
      await expect(change).rejects.toThrow(/WRONGTYPE/);
      await expect(bench().store.audit({ ...keys.audit(), tenant_id: bench().tenant })).rejects.toThrow(/WRONGTYPE/);
      await bench().send(['RENAME', `${stream}:aside`, stream]);
      expect(await bench().store.apiKey(first.id)).toEqual(first);
      expect((await keys.pages({ limit: 3 })).flat()).toEqual([first.id]);
      expect(await isOpen(first.id)).toBe(true);
      expect(await bench().audits()).toHaveLength(1);
    });

    test('where it is noted when they were used', async () => {
      const { keys, used } = on();
      const { id } = await keys.issued('first');
      await bench().send(['SET', used, ELSE]);
      await expect(bench().store.noteApiKeysUsed(new Map([[id, 1]]))).rejects.toThrow(/WRONGTYPE/);
      await expect(bench().store.apiKeysLastUsed([id])).rejects.toThrow(/WRONGTYPE/);
      expect(await bench().send(['GET', used])).toBe(ELSE);
    });

    test('where a key is to be', async () => {
      const { hash, keys } = on();
      const { partition } = keys;
      const [first, second] = [await keys.issued('first'), await keys.issued('second')];
      await bench().send(['HSET', hash, first.id, ELSE]);
      const change = keys.change(
        [
          { ...second, revision: 2 },
          { ...first, revision: 2 },
        ],
        { closeGates: ['any'] },
      );
      await expect(change).rejects.toThrow(/something else/);
      const published = [
        { ...second, revision: 2 },
        { ...first, revision: 2 },
      ];
      await expect(bench().store.publishApiKeys({ partition, keys: published, complete: true })).rejects.toThrow(
        /something else/,
      );
      expect(await bench().store.apiKey(second.id)).toEqual(second);
      expect(await bench().store.partitionsWithoutApiKeys()).toContain(partition);
      expect(await bench().audits()).toHaveLength(2);
    });
  });

  test('C18 a key that cannot be read is not let in, and it is said why', async () => {
    const { hash, keys } = on();
    const first = await keys.issued('first');
    const other = keys.key('other');
    const put = (revision: number, key: object) => `${revision}:${JSON.stringify(key)}`;
    for (const [stored, reason] of [
      [put(1, { ...first, v: 2 }), 'is of version 2; this is version 1'],
      [put(1, { ...first, digest: undefined }), 'digest'],
      [put(1, other), `it says it is ${other.id}`],
      [put(2, first), 'it is of revision 1, not 2'],
      [put(1, first).slice(0, -1), 'cannot be read'],
      ['1:null', 'cannot be read'],
      [JSON.stringify(first), 'cannot be read'],
      ['', 'cannot be read'],
    ] as const) {
      await bench().send(['HSET', hash, first.id, stored]);
      await expect(bench().store.apiKey(first.id)).rejects.toThrow(reason);
      if (stored.includes(bench().tenant)) await expect(bench().store.apiKeys({ limit: 3 })).rejects.toThrow(reason);
    }
    expect(await bench().store.apiKeys({ tenantId: 'another', limit: 3 })).toEqual({ keys: [], next: undefined });
  });

  test('C18 an audit event is in the stream of its tenant’s partition, or of the first', async () => {
    const { keys, stream } = on();
    await bench().store.audit({ ...keys.audit(), tenant_id: bench().tenant });
    expect(await bench().send(['XLEN', stream])).toBe(1);
    await bench().store.audit(keys.audit());
    expect(await bench().send(['XLEN', 'ocr:{p0}:usage'])).toBe(keys.partition === 0 ? 2 : 1);
  });

  test('C18 scripts that the server has forgotten are sent along', async () => {
    const { keys } = on();
    const { partition } = keys;
    const { store } = bench();
    const first = keys.key('first');
    const forgotten = async <Result>(work: () => Promise<Result>): Promise<Result> => {
      await bench().flushScripts();
      return work();
    };
    expect(await forgotten(() => keys.change([first]))).toBe('changed');
    await forgotten(() => store.noteApiKeysUsed(new Map([[first.id, 1]])));
    const second: ApiKey = keys.key('second');
    await forgotten(() => store.publishApiKeys({ partition, keys: [second], complete: true }));
    expect((await forgotten(() => store.apiKeys({ limit: 3 }))).keys).toEqual([first, second]);
    await forgotten(() => store.audit(keys.audit()));
    expect(await bench().audits()).toHaveLength(2);
  });
}
