import { invalidRequest } from '../../core/errors.ts'
import type { Mount } from '../../core/model.ts'
import { retryConflicts } from '../../core/retry.ts'
import { StoreConflict, StoreUnavailable, type Entry } from '../../core/store.ts'
import type { MountTable } from '../../mounts/mount-table.ts'
import type { PolicyStore } from '../../policies/policy-store.ts'
import type { NewSecretId, RoleSite, ScopeNames, ScopeRoles } from './ports.ts'
import { firstSecretId, type AskedScope } from './scope-input.ts'
import { scopePolicyText } from './scope-policy.ts'
import { heldIn, type Held, type ScopeStore } from './scope-store.ts'
import { policyNameOf, roleOf, underWay, type Scope } from './scope.ts'

/** Longer than a request may take: whoever still makes a scope then is dead. */
const makingMs = 180_000
/** A request that removes a scope is through by then, or is gone. */
const takeoverMs = 60_000
/** What a request under way makes after the end is found then. */
const lastLookMs = 120_000
/** Tokens that a sweep ends before others have their turn. */
const turn = 1000

export interface ScopeWorkOptions {
  readonly scopes: ScopeStore
  readonly mounts: MountTable
  readonly names: ScopeNames
  readonly policies: Pick<PolicyStore, 'put' | 'delete'>
  readonly roles: ScopeRoles
  readonly unmount: (mount: Mount, nowMs: number) => Promise<void>
  /** Ends tokens that logins of a role made, no more than about `limit`; whether none is left. */
  readonly revokeGroup: (group: string, nowMs: number, limit: number) => Promise<boolean>
  /** Told of a scope that somebody began to make and did not finish. */
  readonly onUnfinished: (name: string) => void
}

/** What was made, secrets included. */
export interface MadeScope {
  readonly scope: Scope
  readonly mounts: readonly Mount[]
  readonly roleId: string
  readonly secretId: NewSecretId
}

/**
 * Makes scopes, and takes them away. The record comes first and goes last, and holds whatever is
 * needed to take away the rest; it is due until the scope is made, so that a crash on the way leaves
 * nothing behind. All that lies in the record's own shard is made only while the record is as its
 * maker wrote it; what does not, the role, is found again by its incarnation.
 */
export function createScopeWork (options: ScopeWorkOptions) {
  const { scopes, mounts, names, policies, roles, unmount, revokeGroup } = options

  function siteOf (mount: Mount, nowMs: number): RoleSite {
    return { mount, nowMs, store: mounts.storeOf(mount), ttlBounds: mounts.ttlBounds(mount) }
  }

  async function makeParts (held: Held, asked: AskedScope, site: RoleSite): Promise<MadeScope> {
    const { scope } = held
    const { plan } = scope
    const made: Mount[] = []
    for (const [n, mount] of asked.mounts.entries()) {
      const own = await mounts.enable({ ...mount, scope: scope.id }, scopes.fence(held))
      const rotation = plan.mounts[n]?.rotation ?? null
      if (rotation !== null) await names.configure(own, () => rotation)
      made.push(mounts.byAccessor(own.accessor) ?? own)
    }
    const policy = policyNameOf(scope)
    await policies.put(policy, { text: scopePolicyText(scope.name, plan), cas: -1 }, scopes.fence(held))
    const role = roleOf(scope)
    const roleId = await roles.make(site, role, { ...plan.role, token_policies: [policy] })
    const secretId = await roles.makeSecretId(site, role, firstSecretId(plan))
    const finished = await scopes.write({ ...scope, state: 'made' }, held.stamp, null)
    return { scope: finished.scope, mounts: made, roleId, secretId }
  }

  /**
   * Nobody logs in any more, then what logged in ends, then the rights, then the data. Repeatable, by
   * several at once. False where there are more tokens than `tokensMax`, and the rest is not done.
   */
  async function endParts (scope: Scope, nowMs: number, tokensMax = Infinity): Promise<boolean> {
    await mounts.load()
    const auth = mounts.byAccessor(scope.authAccessor)
    // A mount that is gone took its roles, secret_ids and tokens with it.
    if (auth !== null) await roles.end(siteOf(auth, nowMs), roleOf(scope))
    if (!await revokeGroup(scope.id, nowMs, tokensMax)) return false
    await policies.delete(policyNameOf(scope))
    for (const mount of mounts.all('secret').filter((mount) => mount.scope === scope.id)) await endMount(mount, nowMs)
    return true
  }

  async function endMount (mount: Mount, nowMs: number): Promise<void> {
    try {
      await unmount(mount, nowMs)
    } catch (error) {
      await mounts.load()
      // Somebody else was at it too.
      if (mounts.byAccessor(mount.accessor) !== null) throw error
    }
  }

  /** Takes a scope away whose record says so, or as much of it as a turn may. */
  async function finish (held: Held, nowMs: number, tokensMax = Infinity): Promise<void> {
    const isThrough = await endParts(held.scope, nowMs, tokensMax)
    const next = isThrough ? scopes.forget(held, nowMs + lastLookMs) : scopes.write(held.scope, held.stamp, nowMs)
    await next.catch(ignoreConflict)
  }

  /** Marks a scope, so that whoever makes it comes no further and any broker goes on with its end. */
  async function mark ({ scope, stamp }: Held, nowMs: number): Promise<Held> {
    if (scope.state === 'removing') return { scope, stamp }
    return scopes.write({ ...scope, state: 'removing' }, stamp, nowMs + takeoverMs)
  }

  /** What was made before something failed goes at once. Answers what to tell of the failure. */
  async function undo (scope: Scope, failure: unknown, nowMs: number): Promise<unknown> {
    const held = await scopes.find(scope.name)
    const own = held?.scope.id === scope.id ? held : null
    // The answer to the last write was lost, and not the write.
    if (own?.scope.state === 'made') return failure
    if (own?.scope.state === 'making') {
      await finish(await mark(own, nowMs), nowMs)
      return failure
    }
    await endParts(scope, nowMs)
    if (failure instanceof StoreUnavailable) return failure
    return invalidRequest('the scope was removed while it was being made', failure)
  }

  /** Takes the name. @throws BrokerError where somebody else has it by now */
  async function begin (scope: Scope, nowMs: number): Promise<Held> {
    try {
      return await scopes.write(scope, 'absent', nowMs + makingMs)
    } catch (error) {
      if (error instanceof StoreConflict) throw underWay(scope)
      throw await undo(scope, error, nowMs).catch(() => error)
    }
  }

  async function takeUp (held: Held, nowMs: number): Promise<void> {
    const { scope, stamp } = held
    if (scope.state === 'made') {
      await scopes.write(scope, stamp, null)
      return
    }
    if (scope.state === 'making') options.onUnfinished(scope.name)
    await finish(await mark(held, nowMs), nowMs, turn)
  }

  return {
    siteOf,
    /** @throws BrokerError where somebody else makes a scope of this name, or a part cannot be made: then none is left. */
    async make (scope: Scope, asked: AskedScope, auth: Mount, nowMs: number): Promise<MadeScope> {
      const held = await begin(scope, nowMs)
      try {
        return await makeParts(held, asked, siteOf(auth, nowMs))
      } catch (error) {
        // Where it cannot be undone now it comes due.
        throw await undo(scope, error, nowMs).catch(() => error)
      }
    },
    /** Has ended a scope when it returns; nothing where there is none. */
    async remove (name: string, nowMs: number): Promise<void> {
      const marked = await retryConflicts(async () => {
        const held = await scopes.find(name)
        return held === null ? null : mark(held, nowMs)
      })
      if (marked !== null) await finish(marked, nowMs)
    },
    /** The sweeper's handlers, by the first word of a due record's path. */
    dueHandlers: new Map([
      ['scope', async (entries: readonly Entry[], nowMs: number) => {
        for (const entry of entries) {
          await takeUp(heldIn(entry), nowMs).catch(ignoreConflict)
        }
      }],
      ['scope-gone', async (entries: readonly Entry[], nowMs: number) => {
        for (const entry of entries) {
          await endParts(heldIn(entry).scope, nowMs)
          await scopes.bury(entry)
        }
      }]
    ])
  }
}

export type ScopeWork = ReturnType<typeof createScopeWork>

/** Somebody else has changed the record, and goes on from there. */
function ignoreConflict (error: unknown): void {
  if (!(error instanceof StoreConflict)) throw error
}
