import { openAuthorizationMessage } from '../authorization-message.ts'
import { AwsError, invalid } from '../aws-error.ts'
import type { Operation } from '../call.ts'
import type { Judge } from '../judge.ts'
import { findAccountOf } from '../state/identifiers.ts'
import type { Vault } from '../state/vault.ts'
import type { World } from '../state/world.ts'
import { createProblems } from '../validation.ts'
import { rules } from './rules.ts'

/** GetCallerIdentity: for everyone with working credentials; no policy can forbid it. */
export const getCallerIdentity: Operation = ({ caller }) => ({
  result: { UserId: caller.userId, Account: caller.account.id, Arn: caller.arn }
})

/** GetAccessKeyInfo: the account is inside the key's id. Unlike GetCallerIdentity it needs a right. */
export function createGetAccessKeyInfo (world: World, judge: Judge): Operation {
  return (call) => {
    const problems = createProblems()
    const accessKeyId = problems.required(call.params, 'AccessKeyId', rules.accessKeyId)
    problems.throwIfAny()
    judge.authorize(call, 'sts:GetAccessKeyInfo', '*')
    const account = world.findKeyOwner(accessKeyId)?.account.id ?? findAccountOf(accessKeyId)
    if (account === null) throw invalid(`${accessKeyId} is not a valid access key id`)
    return { result: { Account: account } }
  }
}

/** DecodeAuthorizationMessage: opens what EC2 put into its refusals, for the account that was refused. */
export function createDecodeAuthorizationMessage (judge: Judge, vault: Vault): Operation {
  return (call) => {
    const problems = createProblems()
    const encoded = problems.required(call.params, 'EncodedMessage', rules.encodedMessage)
    problems.throwIfAny()
    judge.authorize(call, 'sts:DecodeAuthorizationMessage', '*')
    const decoded = openAuthorizationMessage(call.caller.account.id, encoded, vault)
    if (decoded === null) {
      throw new AwsError(400, 'InvalidAuthorizationMessageException', 'Message is not valid')
    }
    return { result: { DecodedMessage: decoded } }
  }
}
