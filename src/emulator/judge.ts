import { parsePolicyDocument, type PolicyDocument } from './authorization/document.ts'
import { decide, type Decision } from './authorization/evaluate.ts'
import { judgeTrust, type PrincipalView } from './authorization/trust.ts'
import { denied } from './aws-error.ts'
import type { Call } from './call.ts'
import { requestContext, type ExtraKeys } from './request-context.ts'
import type { Caller } from './signature/caller.ts'
import { createBoundedCache } from './state/bounded-cache.ts'
import type { Group, ManagedPolicy, PolicyHolder, Role, User } from './state/records.ts'
import type { Account, World } from './state/world.ts'

/** Whether a caller may, by all policies that a region sees now. */
export interface Judge {
  /** The policy of a session; those used lately are kept. @throws PolicyError MalformedPolicyDocument. */
  parseSessionPolicy (text: string): PolicyDocument
  /** The policies of a user with its groups, of a group or of a role, as a region sees them. */
  policiesOf (account: Account, holder: User | Group | Role, region: string): HeldPolicies
  decide (call: Call, action: string, resource: string, extra?: ExtraKeys): Decision
  /** @throws AwsError AccessDenied in IAM's words. */
  authorize (call: Call, action: string, resource: string, extra?: ExtraKeys): void
  /**
   * The same for an action on a role, whose trust policy has a say.
   *
   * @throws AwsError AccessDenied; without a reason unless caller and role share account or organization.
   */
  authorizeTrusted (call: Call, action: string, target: TrustTarget, extra: ExtraKeys): void
}

/** A role as an ARN names it: it may not exist, which nobody is told. */
export interface TrustTarget {
  readonly arn: string
  readonly account: Account | null
  readonly role: Role | null
}

/** What a user, group or role is given, and what limits it. */
export interface HeldPolicies {
  readonly identity: readonly PolicyDocument[]
  readonly boundary: readonly PolicyDocument[] | null
}

interface PolicySet extends HeldPolicies {
  readonly session: readonly PolicyDocument[] | null
}

const allowEverything = parsePolicyDocument(JSON.stringify({
  Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }]
}), 'identity')

const sessionPoliciesMax = 1000

export function createJudge (world: World): Judge {
  const sessionPolicies = createBoundedCache<PolicyDocument>(sessionPoliciesMax)

  const parseSessionPolicy = (text: string): PolicyDocument => {
    const known = sessionPolicies.get(text)
    if (known !== undefined) return known
    const made = parsePolicyDocument(text, 'session')
    sessionPolicies.put(text, made)
    return made
  }

  const managed = (region: string, arns: readonly string[]): PolicyDocument[] => arns.flatMap((arn) => {
    const policy = world.findPolicyFrom(region, arn)
    return policy === null ? [] : defaultDocument(policy)
  })

  const held = (region: string, holder: PolicyHolder): PolicyDocument[] => [
    ...holder.inline.values().map(({ document }) => document),
    ...managed(region, holder.attached)
  ]

  const policiesOf = (account: Account, holder: User | Group | Role, region: string): HeldPolicies => {
    const groups = holder.kind === 'user'
      ? holder.groups.flatMap((name) => account.groups.findFrom(region, name) ?? [])
      : []
    const boundary = holder.kind === 'group' ? null : holder.boundary
    return {
      identity: [holder, ...groups].flatMap((one) => held(region, one)),
      boundary: boundary === null ? null : managed(region, [boundary])
    }
  }

  const sessionOf = ({ kind, session }: Caller, region: string): PolicyDocument[] | null => {
    if (session === null || kind === 'user' || kind === 'root') return null
    const { policy, policyArns } = session
    if (policy === null && policyArns.length === 0) return kind === 'federated-user' ? [] : null
    const documents = managed(region, policyArns)
    return policy === null ? documents : [parseSessionPolicy(policy), ...documents]
  }

  const policiesFor = ({ caller, region }: Call): PolicySet => {
    const holder = caller.role ?? caller.user
    const all = holder === null
      ? { identity: [allowEverything], boundary: null }
      : policiesOf(caller.account, holder, region)
    return { ...all, session: sessionOf(caller, region) }
  }

  const decideFor = (call: Call, action: string, resource: string, extra?: ExtraKeys): Decision => decide({
    action, resource, context: requestContext(call, resource, extra), ...policiesFor(call)
  })

  return {
    parseSessionPolicy,
    policiesOf,
    decide: decideFor,
    authorize (call, action, resource, extra) {
      const decision = decideFor(call, action, resource, extra)
      if (!decision.allowed) {
        throw denied(`User: ${call.caller.arn} is not authorized to perform: ${action} on resource: ${resource} ${reasonOf(decision, action)}`)
      }
    },
    authorizeTrusted (call, action, { arn, account, role }, extra) {
      const { caller } = call
      const isNear = account !== null && sharesOrganization(caller.account, account)
      const refusal = `User: ${caller.arn} is not authorized to perform: ${action} on resource: ${arn}`
      if (role === null) throw denied(refusal)
      const sameAccount = account?.id === caller.account.id
      const context = requestContext(call, arn, extra)
      const grant = judgeTrust({ action, document: role.trust, principal: viewOf(caller), context })
      const decision = decide({
        action,
        resource: arn,
        context,
        ...policiesFor(call),
        resourcePolicy: { ...grant, sameAccount }
      })
      if (!decision.allowed) throw denied(isNear ? `${refusal} ${reasonOf(decision, action)}` : refusal)
    }
  }
}

/** What a policy in force says. */
export function defaultDocument ({ versions, defaultVersion }: ManagedPolicy): PolicyDocument[] {
  return versions.filter(({ id }) => id === defaultVersion).map(({ document }) => document)
}

const policyTypes = {
  identity: 'identity-based policy',
  boundary: 'permissions boundary',
  session: 'session policy',
  resource: 'resource-based policy'
} as const

/** The part of a refusal that names the kind of policy at fault. */
export function reasonOf ({ explicitDenyBy, missing }: Decision, action: string): string {
  if (explicitDenyBy !== null) {
    return `with an explicit deny in ${explicitDenyBy === 'identity' ? 'an' : 'a'} ${policyTypes[explicitDenyBy]}`
  }
  return `because no ${policyTypes[missing ?? 'identity']} allows the ${action} action`
}

function sharesOrganization (a: Account, b: Account): boolean {
  return a.id === b.id || (a.organizationId !== null && a.organizationId === b.organizationId)
}

function viewOf ({ kind, account, arn, role, user }: Caller): PrincipalView {
  const view = { kind, accountId: account.id, arn }
  if (role !== null) return { ...view, roleArn: role.arn, uniqueId: role.id }
  return user !== null && kind === 'user' ? { ...view, uniqueId: user.id } : view
}
