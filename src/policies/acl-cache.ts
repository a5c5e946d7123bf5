import type { Clock } from '../core/clock.ts'
import { createAcl, rootAcl, type Acl } from './acl.ts'
import type { NamedRules, Rule } from './rule.ts'

/**
 * Most names and rules that are held, over all lists; beyond it all are built again. A rule takes
 * some 800 bytes in each list that has it.
 */
const heldMax = 100_000

/** Lists of policy names that begin alike. */
interface Node {
  readonly next: Map<string, Node>
  acl: Acl | null
  /** When a rule of it expires; until then it need not be built again. */
  validUntilMs: number
}

/** What a policy adds; null for a name without a policy. */
export type RulesOf = (name: string) => { readonly rules: readonly Rule[], readonly expiresAtMs: number | null } | null

/**
 * Keeps the compiled ACL of each list of policy names that tokens have. The key is the list itself,
 * name by name: no joined text that two lists could share (SEC-015).
 */
export function createAclCache ({ clock, rulesOf }: { clock: Clock, rulesOf: RulesOf }) {
  let root = node()
  let held = 0

  function clear (): void {
    root = node()
    held = 0
  }

  function build (names: readonly string[], at: Node): Acl {
    const nowMs = clock.now()
    const policies: NamedRules[] = []
    at.validUntilMs = Infinity
    for (const name of new Set(names)) {
      const policy = rulesOf(name)
      const ends = policy?.expiresAtMs ?? Infinity
      if (policy === null || ends <= nowMs) continue
      policies.push({ name, rules: policy.rules, expires: ends !== Infinity })
      held += policy.rules.length
      for (const endMs of [ends, ...policy.rules.map((rule) => rule.expiresAtMs ?? Infinity)]) {
        if (endMs > nowMs && endMs < at.validUntilMs) at.validUntilMs = endMs
      }
    }
    return createAcl(policies, nowMs)
  }

  return {
    /** The rights of a token with these policies, as they are now. */
    aclFor (names: readonly string[]): Acl {
      let at = root
      for (const name of names) {
        if (name === 'root') return rootAcl
        let next = at.next.get(name)
        if (next === undefined) {
          next = node()
          at.next.set(name, next)
          held++
        }
        at = next
      }
      if (at.acl !== null && (at.validUntilMs === Infinity || clock.now() < at.validUntilMs)) return at.acl
      at.acl = build(names, at)
      const { acl } = at
      if (held > heldMax) clear()
      return acl
    },
    /** Forgets all: the policies changed. */
    clear
  }
}

function node (): Node {
  return { next: new Map(), acl: null, validUntilMs: Infinity }
}
