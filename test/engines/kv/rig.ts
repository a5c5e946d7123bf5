import { createOperationTable } from '../../../src/broker/operation-table.ts'
import type { Call, Outcome, Verb } from '../../../src/core/backend.ts'
import { readInput } from '../../../src/core/fields.ts'
import type { JsonObject } from '../../../src/core/json.ts'
import { parseJsonObject } from '../../../src/core/json-scan.ts'
import type { Entry, Key, Store } from '../../../src/core/store.ts'
import { createKvEngine } from '../../../src/engines/kv/engine.ts'
import { createMountStore } from '../../../src/mounts/mount-store.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { mountOf } from '../../audit/fixtures.ts'
import { sealed } from '../../store/sealed.ts'

export interface KvRigOptions {
  /** The store with its values in clear; a sealed one in memory unless given. */
  readonly store?: Store
  readonly raw?: Store
  readonly version?: '1' | '2'
  readonly accessor?: string
}

/** What an operation answered, as a test looks at it. */
export interface Answered extends JsonObject {
  readonly data: JsonObject
  readonly metadata: JsonObject
  readonly version: number
  readonly keys: readonly string[]
}

/** The engine on a store, driven as the door drives it: match, read input, existence check, run. */
export function createKvRig (options: KvRigOptions = {}) {
  const raw = options.raw ?? createMemoryStore()
  const store = options.store ?? sealed(raw)
  const mount = mountOf({ accessor: options.accessor ?? 'kv_1a2b3c4d', options: { version: options.version ?? '2' } })
  const engine = createKvEngine()
  const tables = { 1: createOperationTable(engine.plain.operations), 2: createOperationTable(engine.versioned.operations) }
  let nowMs = Date.UTC(2026, 0, 1)

  async function run (verb: Verb, path: string, body: JsonObject | string = {}): Promise<Outcome> {
    const table = tables[options.version ?? '2']
    const match = table.match(path, verb)
    if (!match?.operation) throw new Error(`no operation ${verb} ${path}`)
    const sends = verb === 'write' || verb === 'patch'
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const data = sends ? parseJsonObject(Buffer.from(text)).data ?? {} : body as JsonObject
    const { input } = readInput(match.operation.fields, data, match.captured, '')
    const call: Call = {
      mount,
      store: createMountStore(store, mount.accessor),
      nowMs,
      ttlBounds: { ttlSecondsDefault: 2_764_800, ttlSecondsMax: 2_764_800 },
      request: {
        id: 'id', path: `kv/${path}`, operation: verb === 'write' ? 'update' : verb, remoteAddress: '127.0.0.1',
        wrapTtlSeconds: null, clientToken: null, data, bodyText: sends ? text : null, accept: '', ifNoneMatch: ''
      },
      caller: null,
      token: null,
      usesLeft: null
    }
    if (verb === 'write') await match.operation.exists?.(call, input)
    return match.operation.run(call, input)
  }

  async function answered (verb: Verb, path: string, body?: JsonObject | string): Promise<Answered> {
    const outcome = await run(verb, path, body)
    if (outcome.kind !== 'data') throw new Error(`${verb} ${path} is ${outcome.kind}`)
    return outcome.data as Answered
  }

  return {
    raw,
    store,
    run,
    answered,
    /** The text of the data that are answered, with the digits of numbers. */
    textOf: async (path: string, version = 0) => JSON.stringify((await answered('read', `data/${path}`, { version })).data),
    put: (path: string, data: JsonObject, cas?: number) =>
      answered('write', `data/${path}`, { data, ...(cas !== undefined && { options: { cas } }) }),
    /** Puts the clock forward. */
    pass (ms: number) { nowMs += ms },
    /** All that the bare store holds of the mount. */
    async rawEntries (): Promise<Entry[]> {
      const names = await raw.list('', { shard: `m-${mount.accessor}`, limit: 1000 })
      const keys = [...new Set(names.flatMap(({ key }) => key ?? []))]
      return (await raw.get(keys)).filter((entry) => entry !== null)
    },
    async rawKeys (): Promise<Key[]> {
      return (await this.rawEntries()).map(({ key }) => key.slice(key.indexOf(':') + 1))
    }
  }
}

export type KvRig = ReturnType<typeof createKvRig>

/** The message of what a call throws. */
export async function refusalOf (call: Promise<unknown>): Promise<string> {
  try {
    await call
  } catch (error) {
    if (error instanceof Error) return error.message
  }
  throw new Error('nothing was refused')
}
