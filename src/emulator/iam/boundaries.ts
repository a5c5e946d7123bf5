import { noSuchEntity } from '../aws-error.ts'
import type { Operations } from '../call.ts'
import type { Role, User } from '../state/records.ts'
import { createProblems } from '../validation.ts'
import { requirePolicy } from './policy-text.ts'
import { rules } from './rules.ts'
import type { IamParts } from './parts.ts'
import { existing, readSubject, subjectKeys, type HolderKind } from './subject.ts'

/** `PutRolePermissionsBoundary`, `DeleteUserPermissionsBoundary` and their siblings. */
export function createBoundaryOperations<T extends User | Role> (
  kind: HolderKind<T>, { judge, world }: IamParts
): Operations {
  const { word } = kind
  return {
    [`Put${word}PermissionsBoundary`]: (call) => {
      const problems = createProblems()
      const subject = readSubject(kind, call, problems)
      const boundary = problems.required(call.params, 'PermissionsBoundary', rules.arn)
      problems.throwIfAny()
      judge.authorize(call, `iam:Put${word}PermissionsBoundary`, subject.arn, {
        ...subjectKeys(subject.record), 'iam:PermissionsBoundary': [boundary]
      })
      const holder = existing(kind, subject)
      requirePolicy(world, call.caller.account, boundary)
      kind.collection(call.caller.account).put(holder.name, { ...holder, boundary })
      return { result: {} }
    },

    [`Delete${word}PermissionsBoundary`]: (call) => {
      const problems = createProblems()
      const subject = readSubject(kind, call, problems)
      problems.throwIfAny()
      judge.authorize(call, `iam:Delete${word}PermissionsBoundary`, subject.arn, subjectKeys(subject.record))
      const holder = existing(kind, subject)
      if (holder.boundary === null) {
        throw noSuchEntity(`${word} ${holder.name} does not have a permissions boundary`)
      }
      kind.collection(call.caller.account).put(holder.name, { ...holder, boundary: null })
      return { result: {} }
    }
  }
}
