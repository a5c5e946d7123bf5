import { runSimulation, type Simulation } from '@cloud-copilot/iam-simulate'
import { parsePolicyDocument, type PolicyDocument, type PolicyKind } from '../../src/emulator/authorization/document.ts'
import { decide } from '../../src/emulator/authorization/evaluate.ts'
import { judgeTrust, resolvePrincipals, type PrincipalView } from '../../src/emulator/authorization/trust.ts'
import type { Case, PolicyJson } from './case.ts'

/** `refused`: the evaluator does not take the policies; then there is nothing to compare. */
export type Verdict = 'allowed' | 'denied' | 'explicitly denied' | 'refused'

/** What the emulator's evaluator says. */
export function ours (test: Case): Verdict {
  const read = (policy: PolicyJson, kind: PolicyKind): PolicyDocument =>
    parsePolicyDocument(JSON.stringify(policy), kind)
  const context = new Map(Object.entries(test.context)
    .map(([key, value]) => [key.toLowerCase(), typeof value === 'string' ? [value] : value]))
  const sameAccount = test.account === accountOf(test.principal)
  try {
    const trust = test.trust === null ? null : resolvePrincipals(read(test.trust, 'trust'), uniqueIdOf)
    const grant = trust === null ? null : judgeTrust({
      action: test.action, document: trust, principal: viewOf(test.principal), context
    })
    const decision = decide({
      action: test.action,
      resource: test.resource,
      context,
      identity: test.identity.map((policy) => read(policy, 'identity')),
      boundary: test.boundary === null ? null : [read(test.boundary, 'identity')],
      session: test.session === null ? null : [read(test.session, 'session')],
      ...(grant === null ? {} : { resourcePolicy: { ...grant, sameAccount } })
    })
    if (decision.allowed) return 'allowed'
    return decision.explicitDenyBy === null ? 'denied' : 'explicitly denied'
  } catch (error) {
    if (error instanceof Error && error.constructor.name === 'PolicyError') return 'refused'
    throw error
  }
}

/** What the independent evaluator says of the same case. */
export async function theirs (test: Case): Promise<Verdict> {
  const simulation: Simulation = {
    request: {
      action: test.action,
      principal: test.principal,
      resource: { resource: test.resource, accountId: test.account },
      contextVariables: { ...test.context }
    },
    identityPolicies: test.identity.map((policy, at) => ({ name: `identity${at}`, policy })),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    ...(test.trust === null ? {} : { resourcePolicy: test.trust }),
    ...(test.session === null ? {} : { sessionPolicy: test.session }),
    ...(test.boundary === null
      ? {}
      : { permissionBoundaryPolicies: [{ name: 'boundary', policy: test.boundary }] })
  }
  const result = await runSimulation(simulation, {})
  if (result.resultType === 'error') return 'refused'
  if (result.overallResult === 'Allowed') return 'allowed'
  return result.overallResult === 'ExplicitlyDenied' ? 'explicitly denied' : 'denied'
}

function accountOf (arn: string): string {
  return arn.split(':')[4] ?? ''
}

function uniqueIdOf (arn: string): string {
  const name = [...arn].map((letter) => letter.charCodeAt(0).toString(36).padStart(2, '0')).join('')
  return `${arn.includes(':user/') ? 'AIDA' : 'AROA'}${name.toUpperCase().slice(-60).padStart(17, '0')}`
}

function viewOf (arn: string): PrincipalView {
  const accountId = accountOf(arn)
  const [kind, name] = (arn.split(':')[5] ?? '').split('/')
  if (kind === 'user') return { kind, accountId, arn, uniqueId: uniqueIdOf(arn) }
  if (kind === 'federated-user') return { kind, accountId, arn }
  const roleArn = `arn:aws:iam::${accountId}:role/${name}`
  return { kind: 'role-session', accountId, arn, roleArn, uniqueId: uniqueIdOf(roleArn) }
}
