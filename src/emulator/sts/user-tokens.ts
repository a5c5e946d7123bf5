import { denied } from '../aws-error.ts'
import type { Call, Operation } from '../call.ts'
import { requestTagKeys, type ExtraKeys } from '../request-context.ts'
import { createProblems } from '../validation.ts'
import { credentialsTree, issuedElements, requireActiveSts, sizeTree, wholeSeconds, type StsParts } from './assume-role.ts'
import { readMfaClaim } from './mfa.ts'
import { rules } from './rules.ts'
import { checkPolicyArns, checkSessionContent, readSessionContent } from './session-content.ts'

const defaultSeconds = 43_200
const rootSecondsMax = 3600

/** GetFederationToken: only with a user's (or the root's) long-term keys. */
export function createGetFederationToken ({ world, sessions, judge }: StsParts): Operation {
  return (call) => {
    const { params, caller, nowMs } = call
    const problems = createProblems()
    const name = problems.required(params, 'Name', rules.federationName)
    const durationSeconds = problems.number(params, 'DurationSeconds', rules.userSeconds) ?? defaultSeconds
    const content = readSessionContent(params, problems)
    problems.throwIfAny()
    requireLongTerm(call)
    checkSessionContent(content, null, judge)
    const arn = `arn:aws:sts::${caller.account.id}:federated-user/${name}`
    const keys: ExtraKeys = requestTagKeys(content.tags)
    judge.authorize(call, 'sts:GetFederationToken', arn, { ...keys, 'sts:DurationSeconds': [String(durationSeconds)] })
    if (content.tags.length > 0) judge.authorize(call, 'sts:TagSession', arn, keys)
    checkPolicyArns(content, caller.account.id, call.region, world)

    const issuedAtMs = wholeSeconds(nowMs)
    const issued = sessions.issue({
      kind: 'federated',
      accountId: caller.account.id,
      holderName: caller.user?.name ?? '',
      holderId: caller.user?.id ?? '',
      name,
      issuedAtMs,
      expiresAtMs: issuedAtMs + secondsFor(call, durationSeconds) * 1000,
      sourceIdentity: null,
      mfaAtMs: null,
      federatedProvider: null,
      policy: content.policy,
      policyArns: content.policyArns,
      tags: content.tags,
      transitiveTagKeys: content.transitiveTagKeys
    }, content.tokenBytesMin)
    const federatedUserId = `${caller.account.id}:${name}`
    const sizes = sizeTree(issued)
    return {
      result: {
        Credentials: credentialsTree(issued),
        FederatedUser: { FederatedUserId: federatedUserId, Arn: arn },
        ...sizes,
        PackedPolicySize: sizes.PackedPolicySize ?? 0
      },
      notes: { responseElements: { ...issuedElements(issued), federatedUser: { federatedUserId, arn } } }
    }
  }
}

/** GetSessionToken: the user's own rights for a while, with a second factor if one is given. */
export function createGetSessionToken ({ sessions, mfa }: StsParts): Operation {
  return (call) => {
    const { params, caller, nowMs } = call
    const problems = createProblems()
    const durationSeconds = problems.number(params, 'DurationSeconds', rules.userSeconds) ?? defaultSeconds
    const tokenBytesMin = problems.number(params, 'MinimumSessionTokenSize', rules.tokenBytes) ?? 0
    const mfaClaim = readMfaClaim(call, problems)
    problems.throwIfAny()
    requireLongTerm(call)
    const issuedAtMs = wholeSeconds(nowMs)
    const issued = sessions.issue({
      kind: caller.user === null ? 'root' : 'user',
      accountId: caller.account.id,
      holderName: caller.user?.name ?? '',
      holderId: caller.user?.id ?? '',
      name: '',
      issuedAtMs,
      expiresAtMs: issuedAtMs + secondsFor(call, durationSeconds) * 1000,
      sourceIdentity: null,
      mfaAtMs: mfa.verify(call, mfaClaim),
      federatedProvider: null,
      policy: null,
      policyArns: [],
      tags: [],
      transitiveTagKeys: []
    }, tokenBytesMin)
    return {
      result: { Credentials: credentialsTree(issued), ...sizeTree(issued) },
      notes: { responseElements: issuedElements(issued) }
    }
  }
}

/** Long-term keys, of an account that uses STS in this region. */
function requireLongTerm ({ action, caller, region }: Call): void {
  if (caller.session !== null) throw denied(`Cannot call ${action} with session credentials`)
  requireActiveSts(caller.account, region)
}

/** The root's sessions last an hour at most, whatever was asked for. */
function secondsFor ({ caller }: Call, wanted: number): number {
  return caller.kind === 'root' ? Math.min(wanted, rootSecondsMax) : wanted
}
