import { AwsError, denied, invalid } from '../aws-error.ts'
import type { Answer, Call, Operation } from '../call.ts'
import type { Tree } from '../http/tree.ts'
import type { Judge, TrustTarget } from '../judge.ts'
import { requestTagKeys, resourceTagKeys, type ExtraKeys } from '../request-context.ts'
import { isEnabled } from '../state/regions.ts'
import type { IssuedSession, Sessions } from '../state/sessions.ts'
import type { Account, World } from '../state/world.ts'
import { createProblems } from '../validation.ts'
import { readMfaClaim, type MfaChecker } from './mfa.ts'
import { chainedSecondsMax, rules } from './rules.ts'
import {
  checkPolicyArns, checkSessionContent, inheritedTags, readSessionContent, type SessionContent, type TagList
} from './session-content.ts'

/** What STS operations need. */
export interface StsParts {
  readonly world: World
  readonly sessions: Sessions
  readonly judge: Judge
  readonly mfa: MfaChecker
}

interface AssumeRoleInput extends SessionContent {
  readonly roleArn: string
  readonly sessionName: string
  readonly durationSeconds: number
  readonly externalId: string | null
  readonly sourceIdentity: string | null
}

const defaultSeconds = 3600

/** AssumeRole: parameters, then trust and rights, then the role's own limits. */
export function createAssumeRole ({ world, sessions, judge, mfa }: StsParts): Operation {
  return (call) => {
    const problems = createProblems()
    const input = readInput(call, problems)
    const mfaClaim = readMfaClaim(call, problems)
    problems.throwIfAny()
    const { caller } = call
    if (caller.kind === 'root') throw denied('Roles may not be assumed by root accounts.')
    if (caller.kind === 'federated-user') throw denied('Cannot call AssumeRole with federation credentials')
    const target = findTarget(world, input.roleArn, call.region)
    checkSessionContent(input, caller.session, judge)
    const incoming = inheritedTags(caller.session)
    authorize(judge, call, target, input, { incoming, mfaAtMs: mfa.verify(call, mfaClaim) })

    const { account, role } = target
    if (account === null || role === null) throw new Error('a missing role was authorised')
    checkDuration(input.durationSeconds, role.maxSessionSeconds, caller.session !== null)
    checkPolicyArns(input, account.id, call.region, world)
    const issued = sessions.issue({
      kind: 'role',
      accountId: account.id,
      holderName: role.name,
      holderId: role.id,
      name: input.sessionName,
      issuedAtMs: wholeSeconds(call.nowMs),
      expiresAtMs: wholeSeconds(call.nowMs) + input.durationSeconds * 1000,
      sourceIdentity: input.sourceIdentity ?? caller.session?.sourceIdentity ?? null,
      mfaAtMs: null,
      federatedProvider: null,
      policy: input.policy,
      policyArns: input.policyArns,
      tags: [...input.tags, ...incoming],
      transitiveTagKeys: [...input.transitiveTagKeys, ...incoming.map(([key]) => key)]
    }, input.tokenBytesMin)
    return answer(issued, target, incoming, caller.account.id)
  }
}

function readInput ({ params }: Call, problems: ReturnType<typeof createProblems>): AssumeRoleInput {
  return {
    roleArn: problems.required(params, 'RoleArn', rules.roleArn),
    sessionName: problems.required(params, 'RoleSessionName', rules.sessionName),
    durationSeconds: problems.number(params, 'DurationSeconds', rules.roleSeconds) ?? defaultSeconds,
    externalId: problems.text(params, 'ExternalId', rules.externalId),
    sourceIdentity: readSourceIdentity(params.get('SourceIdentity'), problems),
    ...readSessionContent(params, problems)
  }
}

function readSourceIdentity (
  value: string | undefined, problems: ReturnType<typeof createProblems>
): string | null {
  if (value === undefined) return null
  problems.text(new Map([['SourceIdentity', value]]), 'SourceIdentity', rules.sourceIdentity)
  if (value.startsWith('aws:')) problems.add(value, 'sourceIdentity', 'Member must not begin with aws:')
  return value
}

/**
 * The role that an ARN names, as the region sees it.
 *
 * @throws AwsError ValidationError when it is no ARN of a role, RegionDisabledException when the
 * role's account has STS switched off here.
 */
export function findTarget (world: World, roleArn: string, region: string): TrustTarget {
  const match = /^arn:aws:iam::(\d{12}):role\/(?:[\u0021-\u007e]+\/)?([\w+=,.@-]{1,64})$/.exec(roleArn)
  if (match === null) throw invalid(`${roleArn} is invalid`)
  const account = world.account(match[1] ?? '')
  if (account === null) return { arn: roleArn, account, role: null }
  requireActiveSts(account, region)
  const role = account.roles.findFrom(region, match[2] ?? '')
  return { arn: roleArn, account, role: role?.arn === roleArn ? role : null }
}

/** @throws AwsError RegionDisabledException when an account has STS switched off in a region. */
export function requireActiveSts (account: Account, region: string): void {
  if (!account.stsDisabledRegions.has(region) && isEnabled(region, account.optedInRegions)) return
  throw new AwsError(403, 'RegionDisabledException', `STS is not activated in this region for account:${account.id}. Your account administrator can activate STS in this region using the IAM Console.`)
}

function authorize (
  judge: Judge, call: Call, target: TrustTarget, input: AssumeRoleInput,
  { incoming, mfaAtMs }: { incoming: TagList, mfaAtMs: number | null }
): void {
  const { caller } = call
  const tags = [...input.tags, ...incoming]
  const tagKeys: ExtraKeys = {
    ...requestTagKeys(tags),
    'sts:TransitiveTagKeys': [...input.transitiveTagKeys, ...incoming.map(([key]) => key)]
  }
  const sourceIdentity = input.sourceIdentity ?? caller.session?.sourceIdentity ?? null
  const common: ExtraKeys = {
    ...target.role === null ? {} : resourceTagKeys('iam', target.role.tags),
    ...mfaAtMs === null ? {} : { 'aws:MultiFactorAuthPresent': ['true'], 'aws:MultiFactorAuthAge': ['0'] }
  }
  const sourceKeys: ExtraKeys = { 'sts:SourceIdentity': sourceIdentity === null ? [] : [sourceIdentity] }

  judge.authorizeTrusted(call, 'sts:AssumeRole', target, {
    ...common,
    ...tagKeys,
    ...sourceKeys,
    'sts:ExternalId': input.externalId === null ? [] : [input.externalId],
    'sts:RoleSessionName': [input.sessionName],
    'sts:DurationSeconds': [String(input.durationSeconds)]
  })
  if (tags.length > 0) judge.authorizeTrusted(call, 'sts:TagSession', target, { ...common, ...tagKeys })
  if (sourceIdentity !== null) {
    const fixed = caller.session?.sourceIdentity ?? null
    if (fixed !== null && fixed !== sourceIdentity) {
      throw denied(`User: ${caller.arn} is not authorized to perform: sts:SetSourceIdentity on resource: ${target.arn}`)
    }
    judge.authorizeTrusted(call, 'sts:SetSourceIdentity', target, { ...common, ...sourceKeys })
  }
}

function checkDuration (seconds: number, roleSecondsMax: number, isChained: boolean): void {
  if (isChained && seconds > chainedSecondsMax) {
    throw invalid('The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.')
  }
  if (seconds > roleSecondsMax) {
    throw invalid('The requested DurationSeconds exceeds the MaxSessionDuration set for this role.')
  }
}

function answer (
  issued: IssuedSession, { account, arn, role }: TrustTarget, incoming: TagList, callerAccountId: string
): Answer {
  const { session } = issued
  const assumedRoleUser = {
    AssumedRoleId: `${session.holderId}:${session.name}`,
    Arn: `arn:aws:sts::${session.accountId}:assumed-role/${role?.name ?? ''}/${session.name}`
  }
  return {
    result: {
      Credentials: credentialsTree(issued),
      AssumedRoleUser: assumedRoleUser,
      ...sizeTree(issued),
      SourceIdentity: session.sourceIdentity ?? undefined
    },
    notes: {
      requestParameters: incoming.length === 0 ? {} : { incomingTransitiveTags: Object.fromEntries(incoming) },
      responseElements: {
        ...issuedElements(issued),
        assumedRoleUser: { assumedRoleId: assumedRoleUser.AssumedRoleId, arn: assumedRoleUser.Arn },
        ...session.sourceIdentity === null ? {} : { sourceIdentity: session.sourceIdentity },
        roleArn: arn
      },
      ...account === null || account.id === callerAccountId ? {} : { sharedWithAccountId: account.id }
    }
  }
}

export function credentialsTree ({ session, secretAccessKey, token }: IssuedSession): Tree {
  return {
    AccessKeyId: session.accessKeyId,
    SecretAccessKey: secretAccessKey,
    SessionToken: token,
    Expiration: new Date(session.expiresAtMs)
  }
}

/** PackedPolicySize is there only when something was packed. */
export function sizeTree ({ session, tokenBytes, utilization }: IssuedSession): Tree {
  const isPacked = session.policy !== null || session.policyArns.length > 0 || session.tags.length > 0
  return {
    PackedPolicySize: isPacked ? utilization : undefined,
    SessionTokenUtilization: utilization,
    SessionTokenSize: tokenBytes
  }
}

/** What the trail keeps of credentials: never the secret, never the token. */
export function issuedElements ({ session, tokenBytes, utilization }: IssuedSession): Record<string, unknown> {
  return {
    credentials: { accessKeyId: session.accessKeyId, expiration: new Date(session.expiresAtMs).toISOString() },
    packedPolicySize: utilization,
    sessionTokenSize: tokenBytes
  }
}

/** Sessions begin and end on whole seconds: Expiration is written without milliseconds. */
export function wholeSeconds (ms: number): number {
  return Math.floor(ms / 1000) * 1000
}
