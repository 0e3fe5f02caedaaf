"""What people may ask about themselves: everything that is kept of them, and that it goes.

    person --who is meant, over devices and names--> export --everything--> files
                                                 \\-> erase --nothing left, counted--> receipt

`audit` asks the other way round: what is personal here, and how long is it kept?
"""
