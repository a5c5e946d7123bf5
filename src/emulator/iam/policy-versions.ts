import { limitExceeded, noSuchEntity } from '../aws-error.ts'
import type { Operations } from '../call.ts'
import type { Tree } from '../http/tree.ts'
import type { ManagedPolicy, PolicyVersion } from '../state/records.ts'
import { createProblems } from '../validation.ts'
import { readOwnPolicy, readPolicy, sizedPolicy } from './managed-policies.ts'
import { encodedDocument } from './policy-text.ts'
import { quotas, readPage, rules } from './rules.ts'
import type { IamParts } from './parts.ts'
import { deleteConflict } from './subject.ts'

/** CreatePolicyVersion, GetPolicyVersion, ListPolicyVersions, SetDefaultPolicyVersion, DeletePolicyVersion. */
export function createPolicyVersionOperations ({ judge, world }: IamParts): Operations {
  return {
    CreatePolicyVersion (call) {
      const { params, caller: { account }, nowMs } = call
      const problems = createProblems()
      const arn = problems.required(params, 'PolicyArn', rules.arn)
      const text = problems.required(params, 'PolicyDocument', rules.document)
      problems.throwIfAny()
      judge.authorize(call, 'iam:CreatePolicyVersion', arn)
      const policy = readOwnPolicy(account, arn)
      const content = sizedPolicy(text)
      if (policy.versions.length >= quotas.versionsPerPolicy) {
        throw limitExceeded(`A managed policy can have up to ${quotas.versionsPerPolicy} versions. Before you create a new version, you must delete an existing version.`)
      }
      const version = { id: `v${policy.versionsMade + 1}`, createdAtMs: nowMs, ...content }
      const changed = {
        ...policy,
        versions: [...policy.versions, version],
        versionsMade: policy.versionsMade + 1,
        defaultVersion: params.get('SetAsDefault') === 'true' ? version.id : policy.defaultVersion,
        updatedAtMs: nowMs
      }
      account.policies.put(arn, changed)
      return { result: { PolicyVersion: versionTree(version, changed) } }
    },

    GetPolicyVersion (call) {
      const problems = createProblems()
      const arn = problems.required(call.params, 'PolicyArn', rules.arn)
      const id = problems.required(call.params, 'VersionId', rules.versionId)
      problems.throwIfAny()
      judge.authorize(call, 'iam:GetPolicyVersion', arn)
      const policy = readPolicy(world, call.caller.account, arn)
      const version = readVersion(policy, id)
      return { result: { PolicyVersion: { Document: encodedDocument(version.text), ...versionTree(version, policy) } } }
    },

    ListPolicyVersions (call) {
      const problems = createProblems()
      const arn = problems.required(call.params, 'PolicyArn', rules.arn)
      const page = readPage(call.params, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:ListPolicyVersions', arn)
      const policy = readPolicy(world, call.caller.account, arn)
      const { items, fields } = page(policy.versions.toReversed())
      return { result: { Versions: items.map((version) => versionTree(version, policy)), ...fields } }
    },

    SetDefaultPolicyVersion (call) {
      const problems = createProblems()
      const arn = problems.required(call.params, 'PolicyArn', rules.arn)
      const id = problems.required(call.params, 'VersionId', rules.versionId)
      problems.throwIfAny()
      judge.authorize(call, 'iam:SetDefaultPolicyVersion', arn)
      const policy = readOwnPolicy(call.caller.account, arn)
      readVersion(policy, id)
      call.caller.account.policies.put(arn, { ...policy, defaultVersion: id, updatedAtMs: call.nowMs })
      return { result: {} }
    },

    DeletePolicyVersion (call) {
      const problems = createProblems()
      const arn = problems.required(call.params, 'PolicyArn', rules.arn)
      const id = problems.required(call.params, 'VersionId', rules.versionId)
      problems.throwIfAny()
      judge.authorize(call, 'iam:DeletePolicyVersion', arn)
      const policy = readOwnPolicy(call.caller.account, arn)
      readVersion(policy, id)
      if (policy.defaultVersion === id) throw deleteConflict('Cannot delete the default version of a policy.')
      call.caller.account.policies.put(arn, {
        ...policy, versions: policy.versions.filter((version) => version.id !== id), updatedAtMs: call.nowMs
      })
      return { result: {} }
    }
  }
}

function readVersion ({ arn, versions }: ManagedPolicy, id: string): PolicyVersion {
  const version = versions.find((one) => one.id === id)
  if (version === undefined) throw noSuchEntity(`Policy ${arn} version ${id} does not exist or is not attachable.`)
  return version
}

function versionTree ({ id, createdAtMs }: PolicyVersion, { defaultVersion }: ManagedPolicy): Tree {
  return { VersionId: id, IsDefaultVersion: id === defaultVersion, CreateDate: new Date(createdAtMs) }
}
