print("aumd")
