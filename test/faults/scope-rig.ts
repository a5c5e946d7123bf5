import { decodeRecord } from '../../src/core/records.ts'
import { StoreUnavailable, StoreUnknown, type Change, type Store } from '../../src/core/store.ts'
import type { JsonObject } from '../../src/core/json.ts'
import { until, type Teardown } from '../helpers/redis.ts'
import { createRig, textAt, type Outcome, type Rig, type Shared } from '../broker/rig.ts'

export const scopePath = 'sys/latchkey/scopes/team-a'

/** A scope with every kind of part. */
export const body: JsonObject = {
  mounts: { 'team-a': { version: 2 }, 'team-b': { rotation: { prefix: 'b-', stable_path: 'never' } } },
  grants: { 'aws/creds/ec2-only': ['read'] },
  token_ttl: '20m'
}

/** What becomes of a broker at a write: it dies with it, or only this write fails; with the write done or not. */
export interface Fault {
  readonly at: number
  readonly kind: 'dies' | 'fails'
  readonly written: boolean
}

/** What the sweep does on its own, about tokens that were revoked before. */
function isBurial (changes: readonly Change[]): boolean {
  return changes.every(({ op, key }) => op === 'delete' && key.includes(':dying/'))
}

/** A store between a broker and its records that is told when to fail. */
export function createWeakStore () {
  let fault: Fault | null = null
  let writes = 0
  let dead = false
  let held: { at: number, reached: () => void, until: Promise<void> } | null = null

  const alive = <P extends readonly unknown[], R>(call: (...asked: P) => Promise<R>) => async (...asked: P): Promise<R> => {
    if (dead) throw new StoreUnavailable()
    return call(...asked)
  }

  return {
    wrap: (store: Store): Store => noting({
      ...store,
      get: alive(store.get),
      list: alive(store.list),
      claim: alive(store.claim),
      commit: alive(async (changes: readonly Change[], options) => {
        if (isBurial(changes)) return store.commit(changes, options)
        writes++
        if (held?.at === writes) {
          held.reached()
          await held.until
        }
        if (fault?.at !== writes) return store.commit(changes, options)
        if (fault.written) await store.commit(changes, options)
        dead = fault.kind === 'dies'
        throw fault.written ? new StoreUnknown() : new StoreUnavailable()
      })
    }),
    /** From now on: the nth write meets the fault. */
    arm (next: Fault): void {
      fault = next
      writes = 0
    },
    /** From now on: the nth write waits. Answers when it is reached, and how to let it go on. */
    hold (at: number): { reached: Promise<void>, release: () => void } {
      let reached = () => {}
      let release = () => {}
      writes = 0
      const isReached = new Promise<void>((resolve) => { reached = resolve })
      held = { at, reached, until: new Promise((resolve) => { release = resolve }) }
      return { reached: isReached, release: () => release() }
    },
    /** Writes since the last `arm` or `hold`. */
    writes: () => writes
  }
}

const goneKeys = new Set<string>()

/** Notes which scopes are to be looked for once more. */
function noting (store: Store): Store {
  return {
    ...store,
    async commit (changes, options) {
      for (const { op, key } of changes) if (op === 'put' && key.startsWith('sys:scope-gone/')) goneKeys.add(key)
      return store.commit(changes, options)
    }
  }
}

/** Whether all scopes that are gone were looked for once more. */
export async function allLookedFor ({ store }: Rig): Promise<boolean> {
  return goneKeys.size === 0 || (await store.get([...goneKeys])).every((entry) => entry === null)
}

/** Another broker of the store, whose time is later by so much. */
export function createLaterRig (t: Teardown, shared: Shared, laterMs: number): Promise<Rig> {
  const wrap = (store: Store): Store => noting({
    ...store,
    async inspect () {
      const report = await store.inspect()
      return { ...report, clockOffsetMs: report.clockOffsetMs + laterMs }
    }
  })
  return createRig(t, { shared, wrap })
}

/** What there is of scopes, wherever it is kept; nothing where none is left. */
export async function partsLeft ({ store, ask }: Rig): Promise<string[]> {
  const found: string[] = []
  const { body: scopes } = await ask('list', 'sys/latchkey/scopes')
  found.push(...keysOf(scopes).map((name) => `scope ${name}`))
  const { body: mounts } = await ask('read', 'sys/mounts')
  found.push(...Object.keys(mounts['data'] ?? {}).filter((path) => path.startsWith('team-')).map((path) => `mount ${path}`))
  const { body: policies } = await ask('list', 'sys/policies/acl')
  found.push(...keysOf(policies).filter((name) => name.startsWith('scope-')).map((name) => `policy ${name}`))
  const { body: roles } = await ask('list', 'auth/approle/role')
  found.push(...keysOf(roles).filter((name) => name.startsWith('scope-')).map((name) => `role ${name}`))
  const tokens = await store.list('token-group/', { limit: 100 })
  found.push(...tokens.map(({ name }) => `token ${name}`))
  const secretIds = await store.get((await store.list('secret-of/', { limit: 100 })).flatMap(({ key }) => key ?? []))
  for (const entry of secretIds) {
    const { roleName } = entry === null ? { roleName: '' } : decodeRecord<{ roleName: string }>(entry.value)
    if (roleName.startsWith('scope-')) found.push(`secret_id of ${roleName}`)
  }
  return found
}

function keysOf (answer: JsonObject): string[] {
  const data = answer['data'] as { keys?: string[] } | null | undefined
  return data?.keys ?? []
}

/** Sweeps until something holds. */
export async function sweepUntil (what: string, rig: Rig, holds: () => Promise<boolean>): Promise<void> {
  await until(what, async () => {
    await rig.must('write', 'auth/token/tidy')
    return holds()
  })
}

/** Logs in with what a scope's creation answered. */
export function login (rig: Rig, made: JsonObject): Promise<Outcome> {
  const data = { role_id: textAt(made, 'data', 'role_id'), secret_id: textAt(made, 'data', 'secret_id') }
  return rig.ask('write', 'auth/approle/login', { clientToken: null, data })
}
