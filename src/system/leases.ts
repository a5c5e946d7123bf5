import { operation, type Call, type Capability, type Operation, type Outcome } from '../core/backend.ts'
import { invalidRequest, permissionDenied } from '../core/errors.ts'
import { bool, duration, int, text } from '../core/fields.ts'
import type { JsonObject } from '../core/json.ts'
import type { Ended } from '../leases/revocation.ts'
import type { Leases } from '../leases/lease-manager.ts'
import { timestamp } from './timestamp.ts'

/** What lease endpoints ask of a caller's policies. */
export interface LeaseAcl {
  check (query: {
    readonly path: string
    readonly operation: Exclude<Capability, 'sudo'>
    readonly data: JsonObject | null
    readonly wrapTtlSeconds: number | null
  }): { readonly allowed: boolean, readonly sudo: boolean }
}

export interface LeaseOperationsOptions {
  readonly leases: Leases
  readonly aclFor: (policies: readonly string[]) => LeaseAcl
}

const tidyWarning = 'Tidy operation successfully started. Any information from the operation will be printed to Latchkey\'s server logs.'
const countMax = 10_000

const leaseFields = {
  lease_id: text('The id of a lease. Wins over the one in the path.'),
  sync: bool('Whether to answer only when it is done.')
}
const byPath = { url_lease_id: text('The id of a lease.') }

/** The lease endpoints and their older names (contract 5.8, 12.5). */
export function createLeaseOperations ({ leases, aclFor }: LeaseOperationsOptions): Operation[] {
  /**
   * Refuses whoever has nothing to do with a lease: besides the capability of the endpoint it takes
   * that the lease belongs to the caller's token or one made by it, or that the caller may make
   * such leases, or sudo (SEC-151).
   */
  async function mustMayTouch (call: Call, leaseId: string): Promise<void> {
    const owner = await leases.ownership(leaseId)
    const { token, request } = call
    if (token === null) throw permissionDenied()
    if (owner === null || owner.lineage.includes(token.accessor)) return
    const acl = aclFor(token.policies)
    const asked = { data: null, wrapTtlSeconds: null }
    const makes = (['read', 'update'] as const).some((word) => acl.check({ ...asked, path: owner.path, operation: word }).allowed)
    if (!makes && !acl.check({ ...asked, path: request.path, operation: 'update' }).sudo) throw permissionDenied()
  }

  async function lookUp (leaseId: string | undefined): Promise<Outcome> {
    const view = await leases.lookUp(required(leaseId))
    if (view === null) throw invalidRequest('invalid lease')
    const { id, path, renewable, ttlSeconds, issuedAtMs, expiresAtMs, lastRenewalMs } = view
    return {
      kind: 'data',
      data: {
        id,
        issue_time: timestamp(issuedAtMs),
        expire_time: timestamp(expiresAtMs),
        last_renewal: lastRenewalMs === null ? null : timestamp(lastRenewalMs),
        renewable,
        ttl: ttlSeconds,
        path
      }
    }
  }

  async function list (prefix: string, after = '', limit = 0): Promise<Outcome> {
    const { keys, more } = await leases.list(prefix, { after, limit: Math.max(0, limit) })
    const warnings = more && limit <= 0 ? [`the list ends here; go on with "after" = "${keys.at(-1)}"`] : []
    return { kind: 'data', data: { keys }, warnings }
  }

  async function renew (call: Call, given: string | undefined, incrementSeconds = 0): Promise<Outcome> {
    const leaseId = required(given)
    await mustMayTouch(call, leaseId)
    const { renewable, ttlSeconds, data, warnings } = await leases.renew(leaseId, incrementSeconds)
    return { kind: 'data', data, warnings, lease: { leaseId, renewable, leaseDurationSeconds: ttlSeconds } }
  }

  async function revoke (call: Call, given: string | undefined, sync = true): Promise<Outcome> {
    const leaseId = required(given)
    await mustMayTouch(call, leaseId)
    if (sync) return done(await leases.revoke(leaseId))
    await leases.queue(leaseId)
    return { kind: 'accepted' }
  }

  async function revokePrefix (prefix: string | undefined, sync = true): Promise<Outcome> {
    const named = prefix ?? ''
    if (sync) return done(await leases.revokePrefix(named, 'revoke'))
    await leases.queuePrefix(named)
    return { kind: 'accepted' }
  }

  /** The four endpoints that have an older name, below `leases/` or at the top. */
  function twiceNamed (at: '' | 'leases/'): Operation[] {
    const renewFields = { lease_id: leaseFields.lease_id, increment: duration('How long from now; 0 stands for the usual.') }
    const prefix = { prefix: text('The start of the ids of leases, whole segments.') }
    return [
      operation({
        verb: 'write',
        path: `${at}renew`,
        access: 'capability',
        summary: 'Extends a lease.',
        fields: renewFields,
        run: (call, input) => renew(call, input.lease_id, input.increment)
      }),
      operation({
        verb: 'write',
        path: `${at}renew/*url_lease_id`,
        access: 'capability',
        summary: 'Extends a lease.',
        fields: { ...renewFields, ...byPath },
        run: (call, input) => renew(call, input.lease_id || input.url_lease_id, input.increment)
      }),
      operation({
        verb: 'write',
        path: `${at}revoke`,
        access: 'capability',
        summary: 'Ends a lease.',
        fields: leaseFields,
        run: (call, input) => revoke(call, input.lease_id, input.sync)
      }),
      operation({
        verb: 'write',
        path: `${at}revoke/*url_lease_id`,
        access: 'capability',
        summary: 'Ends a lease.',
        fields: { ...leaseFields, ...byPath },
        run: (call, input) => revoke(call, input.lease_id || input.url_lease_id, input.sync)
      }),
      operation({
        verb: 'write',
        path: `${at}revoke-prefix/*prefix`,
        access: 'sudo',
        summary: 'Ends all leases below a prefix.',
        fields: { ...prefix, sync: leaseFields.sync },
        run: (_, input) => revokePrefix(input.prefix, input.sync)
      }),
      operation({
        verb: 'write',
        path: `${at}revoke-force/*prefix`,
        access: 'sudo',
        summary: 'Ends all leases below a prefix whether or not their engines agree.',
        fields: prefix,
        run: async (_, input) => done(await leases.revokePrefix(input.prefix ?? '', 'force'))
      })
    ]
  }

  const paging = {
    after: text('Go on after this key.'),
    limit: int('How many keys to answer at most.')
  }

  return [
    operation({
      verb: 'write',
      path: 'leases/lookup',
      access: 'capability',
      summary: 'Tells about a lease.',
      fields: { lease_id: leaseFields.lease_id },
      run: (_, input) => lookUp(input.lease_id)
    }),
    operation({
      verb: 'list',
      path: 'leases/lookup',
      access: 'sudo',
      summary: 'Lists the mounts that have leases.',
      fields: paging,
      run: (_, input) => list('', input.after, input.limit)
    }),
    operation({
      verb: 'list',
      path: 'leases/lookup/*prefix',
      access: 'sudo',
      summary: 'Lists leases below a prefix.',
      fields: { ...paging, prefix: text('The start of the ids of leases, whole segments.') },
      run: (_, input) => list(input.prefix ?? '', input.after, input.limit)
    }),
    ...twiceNamed('leases/'),
    ...twiceNamed(''),
    ...irrevocableOperations(leases)
  ]
}

function irrevocableOperations (leases: Leases): Operation[] {
  const type = { type: text('Only irrevocable leases are counted: `irrevocable`.') }
  return [
    operation({
      verb: 'read',
      path: 'leases/count',
      access: 'capability',
      summary: 'Counts leases that could not be revoked, by mount.',
      fields: { ...type, include_child_namespaces: bool('Has no effect: there are no namespaces.') },
      async run (_, input) {
        if (input.type !== 'irrevocable') return { kind: 'none' }
        const found = await leases.irrevocable(countMax)
        const counts: Record<string, number> = {}
        for (const { mountAccessor } of found) counts[mountAccessor] = (counts[mountAccessor] ?? 0) + 1
        return { kind: 'data', data: { counts, lease_count: found.length } }
      }
    }),
    operation({
      verb: 'read',
      path: 'leases',
      access: 'sudo',
      summary: 'Lists leases that could not be revoked, with why.',
      fields: { ...type, limit: text('How many to answer at most; `none`: all.') },
      async run (_, input) {
        if (input.type !== 'irrevocable') return { kind: 'none' }
        const asked = Number(input.limit)
        const found = await leases.irrevocable(countMax)
        const shown = Number.isSafeInteger(asked) && asked > 0 ? found.slice(0, asked) : found
        const list = shown.map((lease) =>
          ({ lease_id: lease.leaseId, mount_id: lease.mountAccessor, error: lease.reason }))
        return { kind: 'data', data: { lease_count: found.length, leases: list } }
      }
    }),
    operation({
      verb: 'write',
      path: 'leases/tidy',
      access: 'capability',
      summary: 'Starts a sweep of leases that are due.',
      fields: {},
      async run () {
        leases.tidy()
        return { kind: 'data', data: null, warnings: [tidyWarning], as: 'accepted' }
      }
    })
  ]
}

function required (leaseId: string | undefined): string {
  if (leaseId === undefined || leaseId === '') throw invalidRequest('lease_id must be specified')
  return leaseId
}

/**
 * A revocation's answer. Where the credential lives on, a header says until when: nothing can
 * withdraw an STS session, and a plain success would not be true (SEC-149).
 */
function done ({ diesAtMs, failures }: Ended): Outcome {
  const [failure] = failures
  if (failure !== undefined) throw invalidRequest(`${failure}; it is tried again`)
  if (diesAtMs === null) return { kind: 'none' }
  return { kind: 'none', headers: { 'X-Latchkey-Session-Dies-At': timestamp(diesAtMs) } }
}
