import { AwsError } from '../aws-error.ts'
import type { Call } from '../call.ts'
import type { Tree } from '../http/tree.ts'
import { reasonOf, type Judge } from '../judge.ts'
import type { ExtraKeys } from '../request-context.ts'
import type { RandomSource } from '../state/random.ts'
import type { Vault } from '../state/vault.ts'

/** Checks EC2's rights, in EC2's words. */
export interface Ec2Gate {
  /**
   * @throws AwsError UnauthorizedOperation, 403. For an action on one resource the refusal ends
   * with a sealed account of the decision, which DecodeAuthorizationMessage opens.
   */
  authorize (call: Call, resource?: string, extra?: ExtraKeys): void
}

export function createEc2Gate ({ judge, vault, random }: { judge: Judge, vault: Vault, random: RandomSource }): Ec2Gate {
  return {
    authorize (call, resource, extra = {}) {
      const action = `ec2:${call.action}`
      const keys = { 'ec2:Region': [call.region], ...extra }
      const decision = judge.decide(call, action, resource ?? '*', keys)
      if (decision.allowed) return
      const target = resource === undefined ? '' : ` on resource: ${resource}`
      const message = `You are not authorized to perform this operation. User: ${call.caller.arn} is not authorized to perform: ${action}${target} ${reasonOf(decision, action)}`
      if (resource === undefined) throw new AwsError(403, 'UnauthorizedOperation', message)
      const account = JSON.stringify({
        allowed: false,
        explicitDeny: decision.explicitDenyBy !== null,
        matchedStatements: { items: [] },
        failures: { items: [] },
        context: {
          principal: { id: call.caller.userId, arn: call.caller.arn },
          action,
          resource,
          conditions: { items: Object.entries(keys).map(([key, values]) =>
            ({ key, values: { items: values.map((value) => ({ value })) } })) }
        }
      })
      const sealed = vault.seal('message', Buffer.from(account), random.bytes(12)).toString('base64url')
      throw new AwsError(403, 'UnauthorizedOperation', `${message}. Encoded authorization failure message: ${sealed}`)
    }
  }
}

/** A page that holds everything: EC2 leaves NextToken out when there is no more. */
export function whole (name: string, items: readonly Tree[]): Tree {
  return { [name]: items }
}
