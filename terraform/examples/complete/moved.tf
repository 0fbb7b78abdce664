# SPDX-License-Identifier: Apache-2.0
# Earlier versions were applied in terraform/ itself: with their state, an apply here renames what they made and makes nothing anew.

moved {
  from = module.key
  to   = module.stack.module.key
}

moved {
  from = module.queue
  to   = module.stack.module.queue
}

moved {
  from = module.reports
  to   = module.stack.module.reports
}

moved {
  from = module.network
  to   = module.stack.module.network
}

moved {
  from = module.roles
  to   = module.stack.module.roles
}

moved {
  from = module.fleet
  to   = module.stack.module.fleet
}

moved {
  from = module.schedule
  to   = module.stack.module.schedule
}

moved {
  from = module.observability
  to   = module.stack.module.observability
}

moved {
  from = aws_s3_object.accounts
  to   = module.stack.aws_s3_object.accounts
}
