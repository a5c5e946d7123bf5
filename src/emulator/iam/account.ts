import type { Operations } from '../call.ts'
import type { IamParts } from './parts.ts'
import { quotas } from './rules.ts'

/** GetAccountSummary, ListAccountAliases: harmless questions that a probe can ask. */
export function createAccountOperations ({ judge }: IamParts): Operations {
  return {
    GetAccountSummary (call) {
      judge.authorize(call, 'iam:GetAccountSummary', '*')
      const { users, groups, roles, policies } = call.caller.account
      const counts = {
        Users: users.list().length,
        Groups: groups.list().length,
        Roles: roles.list().length,
        Policies: policies.list().length,
        AccessKeysPerUserQuota: quotas.accessKeysPerUser,
        PolicySizeQuota: quotas.managedPolicyCharacters,
        VersionsPerPolicyQuota: quotas.versionsPerPolicy
      }
      const items = Object.entries(counts).map(([key, value]) => ({ key, value }))
      return { result: { SummaryMap: { itemName: 'entry', items } } }
    },

    ListAccountAliases (call) {
      judge.authorize(call, 'iam:ListAccountAliases', '*')
      const { alias } = call.caller.account
      return { result: { AccountAliases: alias === null ? [] : [alias], IsTruncated: false } }
    }
  }
}
