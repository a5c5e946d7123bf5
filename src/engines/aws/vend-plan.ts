import { invalidRequest } from '../../core/errors.ts'
import { parseRoleArn, type RoleArn } from './role-arn.ts'
import type { Role } from './role-record.ts'
import { federatedNameOf, sessionNameOf } from './session-name.ts'
import type { StsCall } from './sts.ts'

/** What a caller asks of a role. */
export interface Wish {
  readonly roleName: string
  readonly roleArn: string
  readonly sessionName: string
  readonly ttlSeconds: number | undefined
  readonly mfaCode: string
}

/** Who asks, and when. */
export interface Asker {
  readonly runId: string | null
  readonly displayName: string
  readonly nowMs: number
  /** Of the mount, never 0. */
  readonly ttlSecondsMax: number
}

/** A vend that was allowed and not begun. */
export interface VendPlan {
  readonly durationSeconds: number
  /** The role of AWS; null for the types that assume none. */
  readonly roleArn: RoleArn | null
  /** How an error of AWS begins (contract 6.5). */
  readonly during: string
  /** The one call to make, which is named after the lease. Gives the same for the same lease. */
  readonly call: (leaseId: string) => StsCall
}

const ttlSecondsUsual = 3600
/** Limits of STS (aws API reference, AssumeRole and GetFederationToken: DurationSeconds). */
const durationSecondsMin = 900
const durationSecondsMax = { assumed_role: 43_200, federation_token: 129_600, session_token: 129_600 }

/**
 * Decides what to ask of STS for a role (contract 6.5), or refuses: an ARN that the role does not
 * list, a duration that AWS cannot grant, a type that gives no credentials yet.
 *
 * @throws BrokerError `invalid_request`
 */
export function planVend (role: Role, wish: Wish, asker: Asker): VendPlan {
  if (role.credentialType === 'iam_user') throw invalidRequest('credential type iam_user is not supported yet')
  if (role.iamGroups.length > 0) throw invalidRequest('roles with iam_groups are not supported yet')
  switch (role.credentialType) {
    case 'assumed_role': return planAssumedRole(role, wish, asker)
    case 'federation_token': return planFederation(role, wish, asker)
    case 'session_token': return planSession(role, wish, asker)
  }
}

function planAssumedRole (role: Role, wish: Wish, asker: Asker): VendPlan {
  const roleArn = chooseRoleArn(role, wish)
  const asked = askedName(role, wish)
  const { runId } = asker
  if (role.sourceIdentity === 'run_id' && runId === null) {
    throw invalidRequest(`role "${wish.roleName}" needs a token whose metadata has run_id`)
  }
  const durationSeconds = durationOf(role, wish, asker, durationSecondsMax.assumed_role)
  return {
    durationSeconds,
    roleArn,
    during: 'Error assuming role',
    call: (leaseId) => ({
      action: 'AssumeRole',
      roleArn: roleArn.arn,
      sessionName: sessionNameOf({ ...asker, asked, roleName: wish.roleName, leaseId }),
      durationSeconds,
      ...policiesOf(role),
      externalId: role.externalId || null,
      tags: Object.entries(role.sessionTags),
      sourceIdentity: sourceIdentityOf(role, runId, leaseId)
    })
  }
}

function planFederation (role: Role, wish: Wish, asker: Asker): VendPlan {
  if (role.policyDocument === '' && role.policyArns.length === 0) {
    throw invalidRequest('must specify at least one of policy_arns or policy_document with federation_token credential_type')
  }
  const durationSeconds = durationOf(role, wish, asker, durationSecondsMax.federation_token)
  return {
    durationSeconds,
    roleArn: null,
    during: 'Error generating STS keys',
    call: (leaseId) => ({
      action: 'GetFederationToken',
      name: federatedNameOf({ ...asker, asked: null, roleName: wish.roleName, leaseId }),
      durationSeconds,
      ...policiesOf(role)
    })
  }
}

function planSession (role: Role, wish: Wish, asker: Asker): VendPlan {
  const { mfaSerialNumber: serialNumber } = role
  if (serialNumber !== '' && !/^\d{6}$/.test(wish.mfaCode)) throw invalidRequest('mfa_code must be the 6 digits that the role\'s MFA device shows')
  const durationSeconds = durationOf(role, wish, asker, durationSecondsMax.session_token)
  const mfa = serialNumber === '' ? null : { serialNumber, code: wish.mfaCode }
  return {
    durationSeconds,
    roleArn: null,
    during: 'Error generating STS keys',
    call: () => ({ action: 'GetSessionToken', durationSeconds, mfa })
  }
}

/** The ARN to assume: exactly one of the role's, by equality (SEC-159). */
function chooseRoleArn ({ roleArns }: Role, { roleName, roleArn }: Wish): RoleArn {
  if (roleArn !== '' && !roleArns.includes(roleArn)) {
    throw invalidRequest(`role_arn ${JSON.stringify(roleArn)} not in allowed role arns for Vault role ${JSON.stringify(roleName)}`)
  }
  const [only, ...others] = roleArn === '' ? roleArns : [roleArn]
  if (only === undefined || others.length > 0) throw invalidRequest('did not supply a role_arn parameter and unable to determine one')
  const parsed = parseRoleArn(only)
  if (parsed === null) throw invalidRequest(`role_arn ${JSON.stringify(only)} is not the ARN of one IAM role`)
  return parsed
}

function askedName (role: Role, { roleName, sessionName }: Wish): string | null {
  if (sessionName === '') return null
  if (!role.allowRoleSessionName) throw invalidRequest(`role ${JSON.stringify(roleName)} does not allow a role_session_name`)
  if ([...sessionName].length < 2) throw invalidRequest('role_session_name must have at least 2 characters')
  return sessionName
}

/** Seconds to ask for: capped by the role or else the mount without a word, and within what AWS grants (SEC-167). */
function durationOf (role: Role, { ttlSeconds }: Wish, { ttlSecondsMax }: Asker, awsSecondsMax: number): number {
  const wanted = ttlSeconds ?? (role.ttlSeconds || ttlSecondsUsual)
  const cap = role.ttlSecondsMax || ttlSecondsMax
  const durationSeconds = Math.min(wanted, cap)
  if (durationSeconds < durationSecondsMin) {
    throw invalidRequest(cap < durationSecondsMin
      ? `AWS grants no credentials for less than ${durationSecondsMin} seconds, and the role or the mount allows only ${cap}`
      : `ttl must be at least ${durationSecondsMin} seconds, the least that AWS grants`)
  }
  if (durationSeconds > awsSecondsMax) throw invalidRequest(`ttl must be at most ${awsSecondsMax} seconds, the most that AWS grants`)
  return durationSeconds
}

function policiesOf ({ policyDocument, policyArns }: Role) {
  return { policy: policyDocument || null, policyArns }
}

function sourceIdentityOf ({ sourceIdentity }: Role, runId: string | null, leaseId: string): string | null {
  switch (sourceIdentity) {
    case 'lease_id': return leaseId
    case 'run_id': return runId
    default: return null
  }
}
