import { limitExceeded, noSuchEntity } from '../aws-error.ts'
import type { Operations } from '../call.ts'
import { uniqueId } from '../state/identifiers.ts'
import { createProblems } from '../validation.ts'
import { quotas, readPage, rules } from './rules.ts'
import type { IamParts } from './parts.ts'
import {
  alreadyExists, deleteConflict, existing, groups, groupTree, readSubject, subjectKeys, users, userTree
} from './subject.ts'

/** CreateGroup, GetGroup, ListGroups, DeleteGroup. */
export function createGroupOperations ({ judge, random }: IamParts): Operations {
  return {
    CreateGroup (call) {
      const { params, caller: { account } } = call
      const problems = createProblems()
      const name = problems.required(params, 'GroupName', rules.groupName)
      const path = problems.text(params, 'Path', rules.path) ?? '/'
      problems.throwIfAny()
      const arn = `arn:aws:iam::${account.id}:group${path}${name}`
      judge.authorize(call, 'iam:CreateGroup', arn)
      if (account.groups.find(name) !== null) throw alreadyExists(`Group with name ${name} already exists.`)
      const group = {
        kind: 'group' as const,
        name,
        path,
        id: uniqueId('AGPA', random.bytes(17)),
        arn,
        createdAtMs: call.nowMs,
        inline: new Map(),
        attached: []
      }
      account.groups.put(name, group)
      return { result: { Group: groupTree(group) } }
    },

    GetGroup (call) {
      const problems = createProblems()
      const subject = readSubject(groups, call, problems)
      const page = readPage(call.params, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:GetGroup', subject.arn)
      const group = existing(groups, subject)
      const { users } = call.caller.account
      const { items, fields } = page(users.list().filter((user) => user.groups.includes(group.name)))
      return { result: { Group: groupTree(group), Users: items.map(userTree), ...fields } }
    },

    ListGroups (call) {
      const { params, caller: { account } } = call
      const problems = createProblems()
      const prefix = problems.text(params, 'PathPrefix', rules.pathPrefix) ?? '/'
      const page = readPage(params, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:ListGroups', `arn:aws:iam::${account.id}:group${prefix}`)
      const { items, fields } = page(account.groups.list().filter(({ path }) => path.startsWith(prefix)))
      return { result: { Groups: items.map(groupTree), ...fields } }
    },

    DeleteGroup (call) {
      const problems = createProblems()
      const subject = readSubject(groups, call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:DeleteGroup', subject.arn)
      const group = existing(groups, subject)
      const { account } = call.caller
      if (account.users.list().some((user) => user.groups.includes(group.name))) {
        throw deleteConflict('Cannot delete entity, must remove users from group first.')
      }
      if (group.attached.length > 0) throw deleteConflict('Cannot delete entity, must detach all policies first.')
      if (group.inline.size > 0) throw deleteConflict('Cannot delete entity, must delete policies first.')
      account.groups.remove(group.name)
      return { result: {} }
    }
  }
}

/** AddUserToGroup, RemoveUserFromGroup, ListGroupsForUser. */
export function createMembershipOperations ({ judge }: IamParts): Operations {
  return {
    AddUserToGroup (call) {
      const problems = createProblems()
      const groupSubject = readSubject(groups, call, problems)
      const userSubject = readSubject(users, call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:AddUserToGroup', groupSubject.arn)
      const group = existing(groups, groupSubject)
      const user = existing(users, userSubject)
      if (user.groups.includes(group.name)) return { result: {} }
      if (user.groups.length >= quotas.groupsPerUser) {
        throw limitExceeded(`Cannot exceed quota for GroupsPerUser: ${quotas.groupsPerUser}`)
      }
      call.caller.account.users.put(user.name, { ...user, groups: [...user.groups, group.name] })
      return { result: {} }
    },

    RemoveUserFromGroup (call) {
      const problems = createProblems()
      const groupSubject = readSubject(groups, call, problems)
      const userSubject = readSubject(users, call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:RemoveUserFromGroup', groupSubject.arn)
      const group = existing(groups, groupSubject)
      const user = existing(users, userSubject)
      if (!user.groups.includes(group.name)) {
        throw noSuchEntity(`User ${user.name} is not in group ${group.name}`)
      }
      call.caller.account.users.put(user.name, { ...user, groups: user.groups.filter((name) => name !== group.name) })
      return { result: {} }
    },

    ListGroupsForUser (call) {
      const problems = createProblems()
      const subject = readSubject(users, call, problems)
      const page = readPage(call.params, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:ListGroupsForUser', subject.arn, subjectKeys(subject.record))
      const { account } = call.caller
      const { items, fields } = page(existing(users, subject).groups.flatMap((name) => account.groups.find(name) ?? []))
      return { result: { Groups: items.map(groupTree), ...fields } }
    }
  }
}
