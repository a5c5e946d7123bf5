import type { Operations } from '../call.ts'
import type { User } from '../state/records.ts'
import { createProblems } from '../validation.ts'
import type { IamParts } from './parts.ts'
import { rules } from './rules.ts'
import { alreadyExists, existing, readSubject, subjectKeys, users } from './subject.ts'

/** UpdateUser: another name or path for the same user; its id, keys and memberships stay. */
export function createUserNameOperations ({ judge, world }: IamParts): Operations {
  return {
    UpdateUser (call) {
      const { params, caller: { account } } = call
      const problems = createProblems()
      const subject = readSubject(users, call, problems)
      const newName = problems.text(params, 'NewUserName', rules.userName)
      const newPath = problems.text(params, 'NewPath', rules.path)
      problems.throwIfAny()
      const name = newName ?? subject.name
      const path = newPath ?? subject.record?.path ?? '/'
      const arn = `arn:aws:iam::${account.id}:user${path}${name}`
      judge.authorize(call, 'iam:UpdateUser', subject.arn, subjectKeys(subject.record))
      judge.authorize(call, 'iam:UpdateUser', arn, subjectKeys(subject.record))
      const user = existing(users, subject)
      const holder = account.users.find(name)
      if (holder !== null && holder.id !== user.id) throw alreadyExists(`User with name ${name} already exists.`)
      const changed: User = { ...user, name, path, arn }
      if (holder === null) account.users.remove(user.name)
      account.users.put(name, changed)
      for (const { id } of user.accessKeys) world.registerKey(id, { account, userName: name })
      return { result: {} }
    }
  }
}
