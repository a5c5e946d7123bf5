import { limitExceeded, noSuchEntity } from '../aws-error.ts'
import type { Call, Operations } from '../call.ts'
import type { Tree } from '../http/tree.ts'
import { uniqueId } from '../state/identifiers.ts'
import type { InstanceProfile } from '../state/records.ts'
import type { Account } from '../state/world.ts'
import { createProblems, type Problems } from '../validation.ts'
import { readPage, rules } from './rules.ts'
import type { IamParts } from './parts.ts'
import { alreadyExists, deleteConflict, existing, readSubject, roles, subjectKeys, type Subject } from './subject.ts'

const word = { word: 'Instance Profile' }

/** CreateInstanceProfile, GetInstanceProfile, AddRoleToInstanceProfile and what undoes them. */
export function createInstanceProfileOperations ({ judge, random }: IamParts): Operations {
  return {
    CreateInstanceProfile (call) {
      const { params, caller: { account } } = call
      const problems = createProblems()
      const name = problems.required(params, 'InstanceProfileName', rules.instanceProfileName)
      const path = problems.text(params, 'Path', rules.path) ?? '/'
      problems.throwIfAny()
      const arn = `arn:aws:iam::${account.id}:instance-profile${path}${name}`
      judge.authorize(call, 'iam:CreateInstanceProfile', arn)
      if (account.instanceProfiles.find(name) !== null) throw alreadyExists(`Instance Profile ${name} already exists.`)
      const profile = { name, path, id: uniqueId('AIPA', random.bytes(17)), arn, createdAtMs: call.nowMs, role: null }
      account.instanceProfiles.put(name, profile)
      return { result: { InstanceProfile: profileTree(profile, account) } }
    },

    GetInstanceProfile (call) {
      const problems = createProblems()
      const subject = readProfile(call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:GetInstanceProfile', subject.arn)
      return { result: { InstanceProfile: profileTree(existing(word, subject), call.caller.account) } }
    },

    DeleteInstanceProfile (call) {
      const problems = createProblems()
      const subject = readProfile(call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:DeleteInstanceProfile', subject.arn)
      const profile = existing(word, subject)
      if (profile.role !== null) throw deleteConflict('Cannot delete entity, must remove roles from instance profile first.')
      call.caller.account.instanceProfiles.remove(profile.name)
      return { result: {} }
    },

    AddRoleToInstanceProfile (call) {
      const problems = createProblems()
      const subject = readProfile(call, problems)
      const roleSubject = readSubject(roles, call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:AddRoleToInstanceProfile', subject.arn)
      judge.authorize(call, 'iam:PassRole', roleSubject.arn, { 'iam:PassedToService': ['ec2.amazonaws.com'] })
      const profile = existing(word, subject)
      const role = existing(roles, roleSubject)
      if (profile.role !== null) throw limitExceeded('Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1')
      call.caller.account.instanceProfiles.put(profile.name, { ...profile, role: role.name })
      return { result: {} }
    },

    RemoveRoleFromInstanceProfile (call) {
      const problems = createProblems()
      const subject = readProfile(call, problems)
      const roleSubject = readSubject(roles, call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:RemoveRoleFromInstanceProfile', subject.arn)
      const profile = existing(word, subject)
      if (profile.role !== roleSubject.name) {
        throw noSuchEntity(`The role with name ${roleSubject.name} cannot be found.`)
      }
      call.caller.account.instanceProfiles.put(profile.name, { ...profile, role: null })
      return { result: {} }
    },

    ListInstanceProfilesForRole (call) {
      const problems = createProblems()
      const subject = readSubject(roles, call, problems)
      const page = readPage(call.params, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:ListInstanceProfilesForRole', subject.arn, subjectKeys(subject.record))
      const { account } = call.caller
      const role = existing(roles, subject)
      const { items, fields } = page(account.instanceProfiles.list().filter((profile) => profile.role === role.name))
      return { result: { InstanceProfiles: items.map((profile) => profileTree(profile, account)), ...fields } }
    }
  }
}

function readProfile ({ params, caller: { account } }: Call, problems: Problems): Subject<InstanceProfile> {
  const name = problems.required(params, 'InstanceProfileName', rules.instanceProfileName)
  const record = account.instanceProfiles.find(name)
  return { name, record, arn: record?.arn ?? `arn:aws:iam::${account.id}:instance-profile/${name}` }
}

function profileTree ({ name, path, id, arn, createdAtMs, role }: InstanceProfile, account: Account): Tree {
  const record = role === null ? null : account.roles.find(role)
  return {
    Path: path,
    InstanceProfileName: name,
    InstanceProfileId: id,
    Arn: arn,
    CreateDate: new Date(createdAtMs),
    Roles: record === null ? [] : [{
      Path: record.path,
      RoleName: record.name,
      RoleId: record.id,
      Arn: record.arn,
      CreateDate: new Date(record.createdAtMs)
    }]
  }
}
