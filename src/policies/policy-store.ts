import type { Clock } from '../core/clock.ts'
import { invalidRequest } from '../core/errors.ts'
import { foldPolicyName, isInternalPolicy } from '../core/policy-name.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { retryConflicts } from '../core/retry.ts'
import type { Revision } from '../core/revision.ts'
import {
  key, StoreConflict, SYS, type Change, type Entry, type Expect, type Put, type Stamp, type Store
} from '../core/store.ts'
import { createAclCache } from './acl-cache.ts'
import type { Acl } from './acl.ts'
import { defaultPolicyText, responseWrappingText } from './default-policy.ts'
import { parsePolicy } from './parse.ts'
import type { NamedRules, Rule } from './rule.ts'

/** A policy as it was written. */
export interface Policy {
  readonly name: string
  /** Byte for byte what was written. */
  readonly text: string
  /** Counts writes from 1. */
  readonly version: number
  /** Whether each write has to name the version it replaces. */
  readonly casRequired: boolean
  /** From this instant on it is as if it had been deleted; null: never. */
  readonly expiresAtMs: number | null
}

/** A write of a policy. */
export interface PolicyWrite {
  readonly text: string
  /** The version that is replaced; -1: there must be none; undefined: whatever there is. */
  readonly cas?: number | undefined
  /** undefined keeps what was set. */
  readonly casRequired?: boolean | undefined
  readonly expiresAtMs?: number | null
}

/** The policies, held in memory. Names are folded by every call; see `foldPolicyName`. */
export interface PolicyStore {
  /** Reads all policies; makes `default` where there is none. Call once at start, before serving. */
  load (): Promise<void>
  /** The rights of a token with these policies, as they are now. Names without a policy add nothing. */
  aclFor (names: readonly string[]): Acl
  /** Null for what does not exist, has expired, or belongs to the broker. `root` has an empty text. */
  find (name: string): Policy | null
  /** Sorted names without `root`. */
  list (): readonly string[]
  /**
   * Writes a policy that was parsed first, with further changes of the shard `sys` in the same step; it is
   * in force here when this returns (SEC-032).
   * @throws BrokerError `invalid_request` with the contract's sentence (4.1, 4.5, 4.8)
   */
  put (name: string, write: PolicyWrite, beside?: readonly Change[]): Promise<void>
  /** Deletes a policy; one that is not there is no error. @throws BrokerError for the broker's own and `default` */
  delete (name: string): Promise<void>
}

interface Held extends Policy {
  readonly stamp: Stamp
  readonly rules: readonly Rule[]
}

const pageLimit = 500

export function createPolicyStore ({ store, revision, clock }: {
  store: Store, revision: Revision, clock: Clock
}): PolicyStore {
  let held: ReadonlyMap<string, Held> = new Map()
  const acls = createAclCache({ clock, rulesOf: (name) => rulesOf(held, name) })

  async function reload (): Promise<void> {
    const next = new Map<string, Held>()
    for (const entry of await readAll(store)) {
      const name = entry.key.slice(key(SYS, 'policy/').length)
      const former = held.get(name)
      next.set(name, former?.stamp === entry.stamp ? former : parseHeld(name, entry))
    }
    held = next
    acls.clear()
  }

  async function write (
    name: string, { text, cas, casRequired, expiresAtMs = null }: PolicyWrite, beside: readonly Change[]
  ): Promise<void> {
    parsePolicy(text)
    await retryConflicts(async () => {
      const former = held.get(name)
      assertCas(former, cas)
      const record = {
        text, expiresAtMs, version: (former?.version ?? 0) + 1, casRequired: casRequired ?? former?.casRequired ?? false
      }
      try {
        await revision.commit([putOf(name, record, former?.stamp ?? 'absent'), ...beside])
      } catch (error) {
        if (error instanceof StoreConflict) await revision.poll()
        throw error
      }
    })
  }

  revision.follow(reload)

  return {
    async load () {
      await reload()
      if (held.has('default')) return
      const record = { text: defaultPolicyText, version: 1, casRequired: false, expiresAtMs: null }
      try {
        await revision.commit([putOf('default', record, 'absent')])
      } catch (error) {
        // Another broker that starts at the same time made it.
        if (!(error instanceof StoreConflict)) throw error
        await revision.poll()
      }
    },
    aclFor: acls.aclFor,
    find (raw) {
      const name = foldPolicyName(raw)
      if (name === 'root') return { name, text: '', version: 1, casRequired: false, expiresAtMs: null }
      const policy = name === null || isInternalPolicy(name) ? undefined : held.get(name)
      return policy === undefined || hasExpired(policy, clock.now()) ? null : policy
    },
    list () {
      const nowMs = clock.now()
      return [...held.values()].filter((policy) => !hasExpired(policy, nowMs)).map(({ name }) => name).sort()
    },
    async put (raw, policy, beside = []) {
      const name = foldPolicyName(raw)
      if (name === null) throw invalidRequest('invalid policy name')
      if (name === 'root' || isInternalPolicy(name)) throw invalidRequest(`cannot update ${JSON.stringify(name)} policy`)
      if (policy.text === '') throw invalidRequest('\'policy\' parameter not supplied or empty')
      await write(name, policy, beside)
    },
    async delete (raw) {
      const name = foldPolicyName(raw)
      if (name === null) return
      if (name === 'default') throw invalidRequest('cannot delete default policy')
      if (name === 'root' || isInternalPolicy(name)) throw invalidRequest(`cannot delete ${JSON.stringify(name)} policy`)
      await revision.commit([{ op: 'delete', key: keyOf(name) }])
    }
  }
}

const responseWrapping: NamedRules = { name: 'response-wrapping', rules: parsePolicy(responseWrappingText) }

function rulesOf (held: ReadonlyMap<string, Held>, name: string): Pick<Held, 'rules' | 'expiresAtMs'> | null {
  if (name === responseWrapping.name) return { rules: responseWrapping.rules, expiresAtMs: null }
  return isInternalPolicy(name) ? null : held.get(name) ?? null
}

function keyOf (name: string): string {
  return key(SYS, `policy/${name}`)
}

function putOf (name: string, record: Omit<Policy, 'name'>, expect: Expect): Put {
  return { op: 'put', key: keyOf(name), value: encodeRecord(record), expect, names: [`policy/${name}`] }
}

async function readAll (store: Store): Promise<Entry[]> {
  const entries: Entry[] = []
  let after: string | undefined
  for (;;) {
    const page = await store.list('policy/', { shard: SYS, limit: pageLimit, ...after === undefined ? {} : { after } })
    const keys = page.flatMap((named) => named.key ?? [])
    if (keys.length > 0) entries.push(...(await store.get(keys)).filter((entry) => entry !== null))
    if (page.length < pageLimit) return entries
    after = page.at(-1)?.name
  }
}

function parseHeld (name: string, entry: Entry): Held {
  const record = decodeRecord<Omit<Policy, 'name'>>(entry.value)
  return { ...record, name, stamp: entry.stamp, rules: parsePolicy(record.text) }
}

function hasExpired (policy: Policy, nowMs: number): boolean {
  return policy.expiresAtMs !== null && policy.expiresAtMs <= nowMs
}

function assertCas (former: Policy | undefined, cas: number | undefined): void {
  if (cas === undefined) {
    if (former?.casRequired === true) throw invalidRequest('check-and-set parameter required for this call')
  } else if (cas === -1) {
    if (former !== undefined) throw invalidRequest('check-and-set parameter set to -1 on existing entry')
  } else if (cas !== former?.version) {
    throw invalidRequest('check-and-set parameter did not match the current version')
  }
}
