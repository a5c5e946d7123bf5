import { AwsError } from '../aws-error.ts'
import type { Call } from '../call.ts'
import { reasonOf, type Judge } from '../judge.ts'

/**
 * An instance with a profile hands the profile's role to EC2.
 *
 * @throws AwsError UnauthorizedOperation without iam:PassRole on that role.
 */
export function checkPassRole (call: Call, profileArn: string, judge: Judge): void {
  const { account } = call.caller
  const profile = account.instanceProfiles.list().find(({ arn }) => arn === profileArn)
  const role = profile === undefined || profile.role === null ? null : account.roles.find(profile.role)
  if (role === null) return
  const decision = judge.decide(call, 'iam:PassRole', role.arn, { 'iam:PassedToService': ['ec2.amazonaws.com'] })
  if (decision.allowed) return
  throw new AwsError(403, 'UnauthorizedOperation', `You are not authorized to perform this operation. User: ${call.caller.arn} is not authorized to perform: iam:PassRole on resource: ${role.arn} ${reasonOf(decision, 'iam:PassRole')}`)
}
