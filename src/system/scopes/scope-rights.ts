import { BrokerError, invalidRequest } from '../../core/errors.ts'
import type { Token } from '../../core/model.ts'
import type { MountTable } from '../../mounts/mount-table.ts'
import type { Acl } from '../../policies/acl.ts'
import { compilePattern, type Pattern } from '../../policies/rule.ts'
import { usualAuth } from './scope-input.ts'
import { roleNameOf, type Grant, type ScopePlan } from './scope.ts'

export interface ScopeRightsOptions {
  readonly aclFor: (policies: readonly string[]) => Pick<Acl, 'covers'>
  readonly mounts: Pick<MountTable, 'resolve'>
  /** Paths that need sudo, as patterns of policies. */
  readonly protectedPaths: readonly string[]
}

/** Refuses what the caller cannot hand on. @throws BrokerError `permission_denied`, or `invalid_request` for what nobody can */
export type RefuseBeyond = (caller: Pick<Token, 'policies' | 'usesMax'>, name: string, plan: ScopePlan) => void

/**
 * Whoever may make a scope needs no right to write policies, so that nothing may be got by it that the
 * caller has not: mounts lie below the scope's own name, by which the right to make it is given, or
 * where the caller may mount anyway; grants are no more than the caller's own rights. It is judged
 * when the scope is made, and not again.
 */
export function createScopeRights ({ aclFor, mounts, protectedPaths }: ScopeRightsOptions): RefuseBeyond {
  const guarded = protectedPaths.map(compilePattern)

  /** Sudo is never granted, so it would be of no use: better to say so. */
  function refuseProtected ({ path }: Grant): void {
    const pattern = compilePattern(path)
    if (guarded.some((other) => meets(pattern, other))) throw invalidRequest(`grant ${JSON.stringify(path)} is about paths that need sudo, which no scope gets`)
  }

  /** Rights hold to a mount's own path; a name that rotates would also stand in a policy for all to read (SEC-222). */
  function refuseName ({ path }: Grant): void {
    const by = mounts.resolve(compilePattern(path).anchor)?.reached.by
    if (by === 'present' || by === 'grace') throw invalidRequest('a grant names a mount by its own path')
  }

  /** Names lie below the scope's own, where the caller may mount, beside their mount, or below nothing. */
  function refusePrefix (acl: Pick<Acl, 'covers'>, name: string, path: string, prefix: string): void {
    const isBeside = prefix.startsWith(`${path}-`) && !prefix.slice(path.length).includes('/')
    if (!prefix.includes('/') || isBeside || prefix.startsWith(`${name}/`)) return
    if (acl.covers(`sys/mounts/${prefix}*`, ['update'])) return
    throw beyond(`prefix ${JSON.stringify(prefix)} lies neither below "${name}/" nor where the caller may mount`)
  }

  return ({ policies, usesMax }, name, { auth, mounts: own, grants }) => {
    const acl = aclFor(policies)
    const mayMount = (path: string) =>
      path === name || path.startsWith(`${name}/`) || acl.covers(`sys/mounts/${path}`, ['update'])
    for (const { path, rotation } of own) {
      if (!mayMount(path)) throw beyond(`mount ${JSON.stringify(path)} lies neither below "${name}/" nor where the caller may mount`)
      if (rotation === null) continue
      refusePrefix(acl, name, path, rotation.prefix)
      const ends = rotation.reaction.startsWith('revoke-')
      // By a link somebody else's token can be made to use such a name.
      if (ends && !acl.covers(`sys/latchkey/rotation/${path}`, ['update'])) throw beyond('on_tripwire ends tokens of others, for which the caller has to have "update" on the mount\'s path below sys/latchkey/rotation/')
    }
    if (usesMax > 0 && grants.length > 0) throw beyond('a token with counted uses grants nothing')
    for (const grant of grants) {
      refuseProtected(grant)
      if (!acl.covers(grant.path, grant.capabilities)) throw beyond(`grant ${JSON.stringify(grant.path)} is more than the caller may do there, or may do there for good and without condition`)
      refuseName(grant)
    }
    if (auth !== usualAuth && !acl.covers(`auth/${auth}/role/${roleNameOf(name)}`, ['create', 'update'])) {
      throw beyond(`the caller may make no role on auth/${auth}`)
    }
  }
}

function beyond (what: string): BrokerError {
  return new BrokerError('permission_denied', `permission denied: ${what}`)
}

/** Whether two patterns may fit one path; yes where it is not certain. */
function meets (a: Pattern, b: Pattern): boolean {
  if (a.kind === 'exact' && b.kind === 'exact') return a.text === b.text
  if (a.kind === 'exact') return a.text.startsWith(b.anchor)
  if (b.kind === 'exact') return b.text.startsWith(a.anchor)
  return a.anchor.startsWith(b.anchor) || b.anchor.startsWith(a.anchor)
}
