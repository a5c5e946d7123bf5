import { conditionsHold } from './conditions.ts'
import type { RequestContext } from './context.ts'
import type { PolicyDocument } from './document.ts'

export type { RequestContext }

/** What the policy of the resource says of the caller; for AssumeRole the role's trust policy. */
export interface ResourceGrant {
  readonly effect: 'allow' | 'deny' | 'none'
  /** The closest way in which an allowing statement names the caller; null unless allowed. */
  readonly names: 'session' | 'user' | 'role' | 'account' | 'everyone' | 'provider' | null
}

/** A request and every policy that has a say in it. */
export interface DecisionRequest {
  readonly action: string
  readonly resource: string
  readonly context: RequestContext
  readonly identity: readonly PolicyDocument[]
  /** null: the principal has no boundary. An empty list allows nothing. */
  readonly boundary: readonly PolicyDocument[] | null
  /** null: not limited by session policies. An empty list allows nothing. */
  readonly session: readonly PolicyDocument[] | null
  /**
   * For an action whose resource has a policy that must allow it, as AssumeRole (`judgeTrust`).
   * `sameAccount`: the caller's account is the resource's.
   */
  readonly resourcePolicy?: ResourceGrant & { readonly sameAccount: boolean }
}

type PolicySide = 'identity' | 'boundary' | 'session' | 'resource'

/** The verdict, and what decided it. */
export interface Decision {
  readonly allowed: boolean
  readonly explicitDenyBy: PolicySide | null
  /** The first kind of policy that does not allow; null when allowed or explicitly denied. */
  readonly missing: PolicySide | null
}

/**
 * Whether the policies allow the request (AWS: policy evaluation logic). An explicit deny ends
 * it; else identity, boundary and session policies must each allow, those of one kind united. In
 * the same account a resource policy that names a role needs no identity policy, and one that
 * names the session, the user or everyone is not cut by what other policies merely leave out.
 */
export function decide (request: DecisionRequest): Decision {
  const { resourcePolicy } = request
  const identity = judge(request.identity, request)
  const boundary = request.boundary === null ? 'allow' : judge(request.boundary, request)
  const session = request.session === null ? 'allow' : judge(request.session, request)
  const resource = resourcePolicy?.effect ?? 'allow'
  const verdicts = { identity, boundary, session, resource }
  const sides: readonly PolicySide[] = ['identity', 'boundary', 'session', 'resource']
  const explicitDenyBy = sides.find((side) => verdicts[side] === 'deny') ?? null
  if (explicitDenyBy !== null) return { allowed: false, explicitDenyBy, missing: null }
  const suffices = sidesCoveredBy(resourcePolicy)
  const missing = sides.find((side) => verdicts[side] === 'none' && !suffices.includes(side)) ?? null
  return { allowed: missing === null, explicitDenyBy: null, missing }
}

/** The kinds of policy that need not allow because of how the resource policy names the caller. */
function sidesCoveredBy (grant: DecisionRequest['resourcePolicy']): readonly PolicySide[] {
  if (grant === undefined || grant.effect !== 'allow') return []
  if (grant.names === 'provider') return ['identity', 'boundary', 'session']
  if (!grant.sameAccount || grant.names === 'account') return []
  return grant.names === 'role' ? ['identity'] : ['identity', 'boundary', 'session']
}

function judge (
  documents: readonly PolicyDocument[], { action, resource, context }: DecisionRequest
): 'allow' | 'deny' | 'none' {
  let verdict: 'allow' | 'none' = 'none'
  for (const { statements } of documents) {
    for (const statement of statements) {
      const applies = statement.coversAction(action) &&
        statement.coversResource(resource, context) &&
        conditionsHold(statement.conditions, context)
      if (!applies) continue
      if (statement.effect === 'Deny') return 'deny'
      verdict = 'allow'
    }
  }
  return verdict
}
