import type { Operations } from '../call.ts'
import type { IamParts } from './service.ts'

export function createUserOperations ({ judge }: IamParts): Operations {
  return {
    ListUsers (call) {
      const { account } = call.caller
      judge.authorize(call, 'iam:ListUsers', `arn:aws:iam::${account.id}:user/`)
      return {
        result: {
          IsTruncated: false,
          Users: account.users.list().map(({ path, name, id, arn, createdAtMs }) =>
            ({ Path: path, UserName: name, UserId: id, Arn: arn, CreateDate: new Date(createdAtMs) }))
        }
      }
    }
  }
}
